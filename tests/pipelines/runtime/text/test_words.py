from itertools import pairwise

import numpy as np
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.pipelines.runtime.text import words as module
from synth.pipelines.runtime.text.words import signed_words, windows, word_hashes, words

TEXTS = st.lists(st.text(st.sampled_from("ab 東Ä.\n"), max_size=40), max_size=6)


def split(text: str) -> list[str]:
    return [word for portion in words(text) for word in portion]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't  stop_me, 3.5 Times!", ["don", "t", "stop_me", "3", "5", "times"]),
        ("GRÖẞE groesse", ["grösse", "groesse"]),
        ("e\u0301tude É", ["étude", "é"]),
        ("Ｆｕｌｌ ①", ["full", "1"]),
        ("東京 Tower ひらがな", ["東", "京", "tower", "ひ", "ら", "が", "な"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("สวัสดี", list("สวัสดี")),
        ("... \0 --", []),
        ("", []),
    ],
)
def test_words_are_found_in_any_script_ignoring_case(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_a_long_text_is_split_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "einige Wörter 東京 and then others " * 20
    whole = split(text)
    monkeypatch.setattr(module, "PORTION", 7)
    assert len(list(words(text))) > 20
    assert split(text) == whole


# Marks on letters, on characters that are words alone, and on nothing; signs, invisible characters, surrogates.
ANY_SCRIPT = st.one_of(
    st.text(st.sampled_from("aB_9 \n.-+&;\0\u0301é²东สั\u3099か\u200b\ud800😀"), max_size=30), st.text(max_size=30)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY_SCRIPT, max_size=6), st.booleans())
def test_many_texts_have_the_words_that_each_has_alone(
    monkeypatch: pytest.MonkeyPatch, texts: list[str], signed: bool
) -> None:
    form = module._signed_form if signed else str
    expected = [
        [xxhash.xxh3_64_intdigest(form(word).encode("utf-8", "surrogatepass")) for part in find(text) for word in part]
        for find in (signed_words if signed else words,)
        for text in texts
    ]
    for few, at_once in ((0, 1), (0, 20), (20, 30), (0, 1 << 20), (1 << 20, 1 << 20)):
        monkeypatch.setattr(module, "FEW", few)
        monkeypatch.setattr(module, "AT_ONCE", at_once)
        hashes, starts = word_hashes(texts, signed=signed)
        assert [part.tolist() for part in np.split(hashes, starts[1:-1])][: len(texts)] == expected


def test_a_long_text_has_the_same_hashes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["einige Wörter 東京 and then - others " * 20, "", "one, two; three. " * 30]
    for signed in (False, True):
        whole = word_hashes(texts, signed=signed)
        with monkeypatch.context() as context:
            context.setattr(module, "PORTION", 7)
            context.setattr(module, "AT_ONCE", 20)
            for found, expected in zip(word_hashes(texts, signed=signed), whole, strict=True):
                assert np.array_equal(found, expected)


@given(TEXTS, st.integers(1, 5))
def test_a_window_is_a_polynomial_of_its_words(texts: list[str], length: int) -> None:
    def combined(window: list[int]) -> int:
        value = 0
        for word in window:
            value = (value * int(module._FACTOR) + word) % 2**64
        return value ^ (value >> 31)

    hashes, starts = word_hashes(texts)
    each = [hashes[first:end].tolist() for first, end in pairwise(starts.tolist())]
    expected = [
        [combined(one[i : i + length]) for i in range(max(1, len(one) - length + 1))] if one else [] for one in each
    ]
    found, starts = windows(hashes, starts, length)
    assert [found[first:end].tolist() for first, end in pairwise(starts.tolist())] == expected


@given(TEXTS, st.integers(1, 5))
def test_windows_do_not_span_texts(texts: list[str], length: int) -> None:
    found, starts = windows(*word_hashes(texts), length)
    for index, text in enumerate(texts):
        mine, _ = windows(*word_hashes([text]), length)
        count = len(split(text))
        assert len(mine) == (max(1, count - length + 1) if count else 0)
        assert np.array_equal(found[starts[index] : starts[index + 1]], mine)


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_windows_are_equal_if_their_words_are(some: list[str], others: list[str], length: int) -> None:
    def shown(text: str) -> list[tuple[str, ...]]:
        found = split(text)
        return [tuple(found[i : i + length]) for i in range(max(1, len(found) - length + 1))] if found else []

    texts = some + others
    hashes, _ = windows(*word_hashes(texts), length)
    grams = [gram for text in texts for gram in shown(text)]
    assert len(set(hashes.tolist())) == len(set(grams))
    assert len(set(zip(hashes.tolist(), grams, strict=True))) == len(set(grams))


def test_a_full_vocabulary_restarts_with_the_same_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = word_hashes(["one two three two one"])
    monkeypatch.setattr(module, "VOCABULARY", 2)
    after, _ = word_hashes(["one two three two one"])
    assert np.array_equal(before, after)
    assert len(set(after.tolist())) == 3
