from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.text.near import SLOTS, NearDuplicates, band_keys, bands_for, jaccard, signatures
from synth.pipelines.runtime.text.words import windows, word_hashes
from tests.pipelines.runtime.text.drawing import altered, drawn, similarity


def test_pairs_at_the_threshold_share_a_band() -> None:
    assert bands_for(0.8) == 16
    for percent in range(10, 101):
        threshold, bands = percent / 100, bands_for(percent / 100)
        assert 1 - (1 - threshold ** (SLOTS / bands)) ** bands >= 0.9
    assert bands_for(0.0) == SLOTS


def test_signatures_estimate_the_similarity() -> None:
    rng = Random(1)
    errors = []
    for _ in range(300):
        text = drawn(rng, 120)
        other = altered(rng, text, rng.randrange(12))
        both = signatures(*windows(*word_hashes([text, other]), 5))
        errors.append(np.mean(both[0] == both[1]) - similarity(text, other))
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 0.045


def test_equal_bands_have_equal_keys_and_no_key_is_0() -> None:
    slots = np.arange(2 * SLOTS, dtype=np.uint32).reshape(2, SLOTS)
    slots[1, :8] = slots[0, :8]
    keys = band_keys(slots, 16)
    assert keys.shape == (2, 16)
    assert (keys[0] == keys[1]).tolist() == [True] + [False] * 15
    assert band_keys(np.zeros((1, SLOTS), np.uint32), SLOTS).all()


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_similarity_is_that_of_sets(one: set[int], other: set[int]) -> None:
    expected = len(one & other) / len(one | other) if one | other else 1.0
    assert jaccard(np.array(sorted(one), np.uint64), np.array(sorted(other), np.uint64)) == expected


def test_a_near_duplicate_returns_the_key_of_the_first_text() -> None:
    seen = NearDuplicates()
    text = "how many apples does she have left after she gave three of them to her brother and two to her sister"
    assert seen.seen("a", text) is None
    assert seen.seen("b", f"{text} today") == "a"
    assert seen.seen("c", text.upper().replace(" ", ", ")) == "a"
    assert seen.seen("d", "where does the other train arrive when it leaves at noon from the city by the sea") is None
    assert seen.seen("a", text) == "a"


def test_short_texts_are_equal_by_their_words_only() -> None:
    seen = NearDuplicates()
    texts = [
        "cell division",
        "Cell Division?",
        "cell divisions",
        "cell-division",
        "division cell",
        "",
        " ",
        "?",
        "!",
        "?",
    ]
    found = [seen.seen(str(index), text) for index, text in enumerate(texts)]
    assert found == [None, "0", None, "0", None, None, "5", None, None, "7"]


def test_a_near_duplicate_is_not_remembered() -> None:
    # A ~ B ~ C, but C is not a near duplicate of A.
    rng = Random(2)
    a = drawn(rng, 100)
    b = f"{' '.join(a.split()[10:])} {drawn(rng, 10)}"
    c = f"{' '.join(b.split()[10:])} {drawn(rng, 10)}"
    assert similarity(a, b) >= 0.8 > similarity(a, c)
    assert similarity(b, c) >= 0.8
    seen = NearDuplicates()
    assert [seen.seen(*pair) for pair in (("a", a), ("b", b), ("c", c))] == [None, "a", None]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_near_duplicates_reach_the_threshold(threshold: float) -> None:
    rng = Random(3)
    seen, texts, found, similar = NearDuplicates(threshold), {}, 0, 0
    for index in range(300):
        base = drawn(rng, 80)
        for version in (base, altered(rng, base, rng.randrange(9))):
            key = f"{index}-{version == base}"
            earlier = seen.seen(key, version)
            similar += version != base and similarity(base, version) >= threshold
            if earlier:
                found += 1
                assert similarity(texts[earlier], version) >= threshold
            texts[key] = version
    assert found >= 0.9 * similar


def test_languages_without_blanks_are_compared_by_characters() -> None:
    text = "細胞分裂とは一つの細胞が二つ以上の娘細胞に分かれる生命現象のことであり核分裂と細胞質分裂とからなる"
    seen = NearDuplicates()
    assert seen.seen("a", text) is None
    assert seen.seen("b", f"{text}、という。") == "a"
