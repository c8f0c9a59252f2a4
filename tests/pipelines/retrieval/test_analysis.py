"""Text as terms."""

import pytest

from synth.pipelines.retrieval import analysis
from synth.pipelines.retrieval.analysis import Analysis, passages, spans


def terms(text: str, *, stem: bool = False) -> list[str]:
    return list(Analysis(stem=stem).terms(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The QUICK brown-fox.", ["the", "quick", "brown", "fox"]),
        ("C++ AND (NOT x:*)", ["c", "and", "not", "x"]),
        ("don't don’t it's", ["don't", "don't", "it's"]),
        ("3.14 or 1,000; v2.0-rc1, e.g. U.S.A.", ["3.14", "or", "1,000", "v2.0", "rc1", "e.g", "u.s.a"]),
        ("end.Next 3.x x.3 4,", ["end.next", "3", "x", "x", "3", "4"]),
        ("snake_case __init__ ___ _", ["snake_case", "__init__"]),
        ("http://example.org/a?b=c", ["http", "example.org", "a", "b", "c"]),
        ("", []),
        (" \t\n!?…—", []),
    ],
)
def test_words_are_those_of_lucenes_standard_analyzer(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe STRASSE Straße", ["grösse", "strasse", "strasse"]),
        ("ＡＢＣ １２３ ﬁn ½", ["abc", "123", "fin", "1", "2"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("co\u00adoperate zero\u200dwidth", ["cooperate", "zerowidth"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Ünï_cödé l·l", ["ünï_cödé", "l·l"]),
        ("😀 x😀y", ["x", "y"]),
    ],
)
def test_letters_are_folded_and_keep_their_marks(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("東京都に住む", ["東京", "京都", "都に", "に住", "住む"]),
        ("東", ["東"]),
        ("日本語text、한국어", ["日本", "本語", "text", "한국", "국어"]),
        ("ｶﾀｶﾅ カタカナ", ["カタ", "タカ", "カナ", "カタ", "タカ", "カナ"]),
        ("𠮷野家", ["𠮷野", "野家"]),
        ("ดีมาก", ["ดี", "ีม", "มา", "าก"]),
    ],
)
def test_writing_without_spaces_becomes_pairs(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_control_characters_and_lone_surrogates_separate() -> None:
    assert terms("a\x00b\x1bc\x7fd\x85e\ud800f") == list("abcdef")


def test_a_long_word_is_cut_into_terms_of_255() -> None:
    assert [len(term) for term in terms(f"{'x' * 600} {'é' * 256} y")] == [255, 255, 90, 255, 1, 1]


def test_a_long_text_has_the_terms_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "don't stop\nat 3.14 ünder 東京都 " * 40
    whole = terms(text)
    for size in (16, 64, 1000):
        monkeypatch.setattr(analysis, "CHARACTERS_AT_A_TIME", size)
        assert terms(text) == whole
    monkeypatch.setattr(analysis, "CHARACTERS_AT_A_TIME", 10)
    assert terms("x" * 25) == ["x" * 10, "x" * 10, "x" * 5]


def test_stems_are_english() -> None:
    assert terms("Running studies relational Größe 3.14 東京", stem=True) == [
        "run",
        "studi",
        "relat",
        "grösse",
        "3.14",
        "東京",
    ]


def test_words_that_occur_come_in_the_order_of_the_terms() -> None:
    text = "He runs, running. STUDIES of cats"
    assert Analysis().occurring(["studies", "dog", "runs"], text) == ["studies", "runs"]
    assert Analysis(stem=True).occurring(["studi", "dog", "run"], text) == ["studies", "running", "runs"]


def test_spans_are_those_of_the_text_as_it_is_written() -> None:
    text = "Die GRÖSSE von 東京都, ｶﾀｶﾅ and don’t; grösser"
    found = spans(text, ["grösse", "東京", "タカ", "don't"])
    assert [text[start:end] for start, end in found] == ["GRÖSSE", "東京", "ｶﾀｶﾅ", "don’t"]
    assert list(spans(text, [])) == []


def test_passages_have_their_size_and_a_short_rest_goes_with_the_last() -> None:
    def sizes(words: int) -> list[int]:
        return [len(passage) for passage in passages(iter(["w"] * words), 100)]

    assert sizes(0) == []
    assert sizes(99) == [99]
    assert sizes(249) == [100, 149]
    assert sizes(250) == [100, 100, 50]
    assert list(passages(iter("abc"), 1)) == [["a"], ["b"], ["c"]]
