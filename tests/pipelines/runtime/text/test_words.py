import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.text import words as module
from synth.pipelines.runtime.text.words import windows, word_hashes, words

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
