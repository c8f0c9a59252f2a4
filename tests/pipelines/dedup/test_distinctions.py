"""What keeps two texts apart, and what nobody sees."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.pipelines.dedup.contamination import Decontaminate
from synth.pipelines.dedup.dedup import Dedup
from synth.pipelines.runtime.text.exact import same_text, same_url
from synth.pipelines.runtime.text.near import NearDuplicates
from synth.pipelines.runtime.text.words import signed_words, word_hashes, words
from tests.pipelines.passing import passed, texts_passed
from tests.rows import write_rows

few_files = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

OPERATORS = [
    "+",
    "-",
    "*",
    "/",
    "^",
    "=",
    "<",
    ">",
    "<=",
    ">=",
    "==",
    "!=",
    "%",
    "&",
    "|",
    "~",
    "×",
    "÷",
    "≤",
    "≠",
    "±",
]
SIGNS = [*OPERATORS, "(", ")", "[", "]", "{", "}", "!", "'", ".", ",", ":", "$", "\\", "#", "@", "²", "½", "∈", "→"]
NAMES = ["x", "y", "n", "f", "sum", "total", "the", "price", "数", "Größe", "कि"]
NUMBERS = ["0", "1", "7", "42", "3", "15", "2048"]
PIECES = st.sampled_from([*SIGNS, *NAMES, *NUMBERS])
UNSEEN = st.sampled_from(
    "\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u202a\u202e\u2060\u2066\u3164\ufe0f\ufeff"
    "\U000e0041\U000e0100\0\x7f"
)


@st.composite
def changed_formulas(draw: st.DrawFn) -> tuple[str, str]:
    """A formula, and the same one with one operator, sign or number in another's place."""
    pieces = draw(st.lists(PIECES, max_size=25))
    kind = draw(st.sampled_from([SIGNS, NUMBERS]))
    one, other = draw(st.lists(st.sampled_from(kind), min_size=2, max_size=2, unique=True))
    place = draw(st.integers(0, len(pieces)))
    gap = draw(st.sampled_from([" ", "  ", "\n"]))
    before, after = gap.join(pieces[:place]), gap.join(pieces[place:])
    glue = draw(st.sampled_from([gap, gap, ""])) if kind is SIGNS else gap
    return tuple(glue.join(filter(None, [before, middle, after])) for middle in (one, other))  # type: ignore[return-value]


@given(changed_formulas())
def test_another_operator_sign_or_number_makes_another_text(texts: tuple[str, str]) -> None:
    assert len(set(map(same_text, texts))) == 2
    hashes = [word_hashes([text], signed=True)[0].tobytes() for text in texts]
    assert hashes[0] != hashes[1]


@few_files
@given(changed_formulas(), st.sampled_from([0.8, 1.0]))
def test_no_text_with_another_sign_is_called_the_same(tmp_path: Path, texts: tuple[str, str], threshold: float) -> None:
    _, rejected = texts_passed(Dedup(threshold=threshold), tmp_path, *texts)
    for reason, detail in rejected.values():
        assert (reason, threshold) == ("near_duplicate", 0.8)
        assert 0.8 <= float(detail.rpartition(" ")[2]) < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is left of 12 + 5 apples?", "What is left of 12 - 5 apples?"),
        ("for i in range(n): if i < k: stop()", "for i in range(n): if i > k: stop()"),
        ("it was -5 degrees outside all day", "it was 5 degrees outside all day"),
        ("the dose is 1.5 mg twice a day", "the dose is 15 mg twice a day"),
        ("(a + b) * c is what we look for", "a + (b * c) is what we look for"),
        ("return N - n if n else None", "return n - N if n else None"),
        ("the class Ion() is not an instance", "the class ion() is not an instance"),
        ("ask her for the resume of today", "ask her for the résumé of today"),
        ("the volume of it is m³ today", "the volume of it is m3 today"),
        ("add ¼ cup of milk to it", "add 14 cup of milk to it"),
        ("C++ is what I would like to learn", "C# is what I would like to learn"),
        ("वह कि यह है वहाँ", "वह का यह है वहाँ"),
    ],
)
def test_texts_of_a_line_that_say_different_things_both_stay(tmp_path: Path, one: str, other: str) -> None:
    assert texts_passed(Dedup(), tmp_path, one, other) == (["r-0", "r-1"], {})


@pytest.mark.parametrize(
    "other",
    [
        "THE COMMITTEE OF THE TOWN, WHICH MET ON MONDAY, SAID: 'WE AGREE ON ALL OF IT.'",
        "The committee of the town, which met on Monday, said: ‘We agree on all of it.’",
        "Ｔｈｅ　committee of the town, which met on Monday, said: 'We agree on all of it.'",
    ],
)
def test_case_and_typography_make_near_duplicates_that_are_not_quite_the_same(tmp_path: Path, other: str) -> None:
    text = "The committee of the town, which met on Monday, said: 'We agree on all of it.'"
    _, rejected = texts_passed(Dedup(), tmp_path, text, other)
    assert rejected == {"r-1": ("near_duplicate", "r-0, similarity 0.99")}


@given(
    st.lists(st.one_of(PIECES, st.sampled_from([" ", "\n", "e\u0301", "😀", "&amp;", "-\n", "می"])), max_size=20),
    st.data(),
)
def test_invisible_characters_change_nothing_of_what_is_compared(pieces: list[str], data: st.DataObject) -> None:
    text = " ".join(pieces)
    hidden = text
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(hidden)))
        hidden = hidden[:place] + data.draw(UNSEEN) + hidden[place:]
    assert same_text(hidden) == same_text(text)
    assert same_url(f"https://example.org/{hidden}") == same_url(f"https://example.org/{text}")
    for split in (words, signed_words):
        assert list(split(hidden)) == list(split(text))
    seen = NearDuplicates()
    assert seen.seen("a", text) is None
    assert seen.seen("b", hidden) == "a"


QUESTION = "A tram has sixteen seats and carries twenty-four people. How many of them have to stand?"


@few_files
@given(st.lists(st.tuples(st.integers(0, len(QUESTION)), UNSEEN), max_size=12))
def test_no_invisible_character_hides_a_question(tmp_path: Path, inserted: list[tuple[int, str]]) -> None:
    hidden = QUESTION
    for place, unseen in sorted(inserted, reverse=True):
        hidden = hidden[:place] + unseen + hidden[place:]
    against = write_rows(tmp_path / "eval.jsonl", [{"id": "q", "question": QUESTION}])
    rows = [{"id": "a", "text": hidden}, {"id": "b", "text": QUESTION}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    kept, rejected = passed(Decontaminate(against=(str(against),)), [source], tmp_path / "clean", fresh=True)
    assert (kept, [row["id"] for row in rejected]) == ([], ["a", "b"])
    kept, rejected = passed(Dedup(), [source], tmp_path / "unique", fresh=True)
    # What is kept keeps every character.
    assert kept == rows[:1]
    assert [row["reason"] for row in rejected] == ["exact_duplicate"]


@pytest.mark.parametrize(
    "shown",
    [
        "A tram has six-\n teen seats and carries twenty-four peo-\nple. How many of them have to stand?",
        "A tram has _sixteen_ seats and carries **twenty-four** people. __How many__ of them have to stand?",
        "A tram has&nbsp;sixteen seats and carries twenty&#8209;four people. How many of th&shy;em have to stand?",
        "Ａ ｔｒａｍ ｈａｓ sixteen seats and carries twenty—four people: “How many” of them have to stand?",
        "A tram has sixteen seats and carries twenty-\nfour people. How many of them have to stand?",
    ],
)
def test_no_typography_hides_a_question(tmp_path: Path, shown: str) -> None:
    against = write_rows(tmp_path / "eval.jsonl", [{"id": "q", "question": QUESTION}])
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "text": f"Look at this: {shown}"}])
    _, rejected = passed(Decontaminate(against=(str(against),)), [source], tmp_path / "out")
    assert [row["id"] for row in rejected] == ["a"]


def test_a_short_question_with_another_operator_is_another_one(tmp_path: Path) -> None:
    evaluation = [{"id": "sum", "question": "What is 9 + 4?"}, {"id": "product", "question": "What is 9 × 4?"}]
    against = write_rows(tmp_path / "eval.jsonl", evaluation)
    asked = ["what is 9+4", "What is 9 - 4?", "What is 9 * 4", "What is 9 4?", "What is **9** + 4?"]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": text, "text": text} for text in asked])
    kept, rejected = passed(Decontaminate(against=(str(against),)), [source], tmp_path / "out")
    assert [row["id"] for row in kept] == ["What is 9 - 4?"]
    assert [row["detail"] for row in rejected] == [
        f"eval, {name}: what is 9 4" for name in ("sum", "product", "sum", "sum")
    ]


@pytest.mark.parametrize(
    "nowhere", ["N/A", "none", "-", "unknown", "https://example.com", "http://www.example.com/", "about:blank"]
)
def test_rows_that_share_a_placeholder_for_an_address_all_stay(tmp_path: Path, nowhere: str) -> None:
    rows = [{"id": name, "text": f"a text about {name}", "url": nowhere} for name in ("iron", "clay")]
    kept, _ = passed(Dedup(), [write_rows(tmp_path / "rows.jsonl", rows)], tmp_path / "out")
    assert kept == rows


def test_queries_are_told_apart_by_signs_and_not_by_punctuation() -> None:
    seen = NearDuplicates()
    asked = [
        "a+b",
        "a-b",
        "a * b",
        "A + B?",
        "x < y",
        "x > y",
        "C",
        "C++",
        "C#",
        "5!",
        "5",
        "(5)!",
        "cell-division",
        "Cell division!",
    ]
    found = [seen.seen(str(index), text) for index, text in enumerate(asked)]
    assert found == [None, None, None, "0", *[None] * 9, "12"]
