"""Answers to multiple choice: labels and texts of options are both answers."""

import json
from typing import Any

import pytest

from synth.pipelines.runtime.answers.choices import ChoiceAnswers, Choices, bare_words

TEXTS = ["a paper cup", "Wooden spoon", "an iron nail"]
OPTIONS = Choices(dict(zip("ABC", TEXTS, strict=True)))
ANSWERS = ChoiceAnswers(OPTIONS, ("The answer is", "#### "))


def label(solution: str, answers: ChoiceAnswers = ANSWERS) -> str | None:
    found = answers.find(solution)
    return found.value if found else None


@pytest.mark.parametrize(
    "published",
    [
        {"label": ["A", "B", "C"], "text": TEXTS},
        {"text": TEXTS, "label": ["A", "B", "C"]},
        [{"label": name, "text": text} for name, text in zip("ABC", TEXTS, strict=True)],
        dict(zip("ABC", TEXTS, strict=True)),
        TEXTS,
        json.dumps(TEXTS),
    ],
    ids=["CommonsenseQA", "OpenBookQA", "objects", "by label", "texts", "a cell of CSV"],
)
def test_options_are_read_as_they_are_published(published: Any) -> None:
    assert Choices.read(json.dumps(published)) == OPTIONS


def test_options_are_shown_a_line_each() -> None:
    assert str(OPTIONS) == "(A) a paper cup\n(B) Wooden spoon\n(C) an iron nail"


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ([], "fewer than two"),
        (["one"], "fewer than two"),
        (7, "neither texts nor labels"),
        ("wood", "neither texts nor labels"),
        ("[wood", "not JSON"),
        (["one", 2], "neither texts nor labels"),
        (["one", " "], "no text"),
        ({"label": ["A"], "text": ["one", "two"]}, "1 label for 2 texts"),
        ({"label": ["A", "A"], "text": ["one", "two"]}, "are the same"),
        (["The cup", "a cup."], "are the same"),
        ([{"text": "one"}, {"text": "two"}], "no label"),
    ],
)
def test_what_are_no_options_is_an_error(published: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Choices.read(json.dumps(published))


@pytest.mark.parametrize(
    "line",
    [
        "C",
        "C.",
        "(C)",
        "( c )",
        "c.",
        "**C**",
        r"\text{C}",
        "C)",
        "option C",
        "Option (C).",
        "C) an iron nail",
        "C: iron nail",
        "(C) An iron nail, because it is metal.",
        "C - the iron nail",
        "C, as it is of iron.",
        "an iron nail",
        "The Iron nail.",
        "'iron nail'",
        "iron nail, because the others are not of metal",
        "iron nail. Nothing else is of metal.",
    ],
)
def test_an_option_may_be_named_in_many_ways(line: str) -> None:
    assert label(f"A cup is of paper.\nThe answer is {line}") == "C"
    assert label(f"A cup is of paper.\n#### {line}\nNext question:") == "C"


@pytest.mark.parametrize("text", ["C", "(C) an iron nail", " an iron nail\n", "Iron nail."])
def test_a_bare_answer_needs_no_mark(text: str) -> None:
    assert label(text) == "C"
    assert ANSWERS.same(ANSWERS.find(text), ANSWERS.gold("C"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "solution",
    [
        "",
        "I think that it is C.",
        "The answer is D.",
        "The answer is not C.",
        "The answer is a magnet.",
        "The answer is C) a paper cup",
        "The answer is A and C",
        "The answer is\nC",
        "Carbon",
        "Cheap: an iron nail is",
    ],
)
def test_what_is_no_option_is_no_answer(solution: str) -> None:
    assert label(solution) is None


def test_an_article_is_not_the_label_of_the_first_option() -> None:
    assert label("The answer is a wooden spoon.") == "B"
    assert label("The answer is A wooden spoon.") == "B"
    assert label("The answer is A.") == "A"


def test_a_mark_that_no_option_follows_is_skipped() -> None:
    assert label("So the answer is not clear yet. Wood is not drawn.\nThe answer is C.") == "C"


def test_the_answer_ends_with_its_line() -> None:
    solution = "Iron is drawn.\nThe answer is C.\nAnother question?"
    found = ANSWERS.find(solution)
    assert found is not None
    assert (solution[: found.end], found.text) == ("Iron is drawn.\nThe answer is C.", "C")


def test_labels_may_be_numbers() -> None:
    answers = ChoiceAnswers(Choices({"1": "noon", "2": "dawn", "10": "dusk"}), ("The answer is",))
    assert [label(f"The answer is {said}", answers) for said in ("1", "10.", "(2)", "dusk", "3", "100")] == [
        "1",
        "10",
        "2",
        "10",
        None,
        None,
    ]


@pytest.mark.parametrize("text", [None, "", "D", "It is C, I think", "wood"])
def test_a_gold_answer_has_to_name_an_option(text: str | None) -> None:
    assert ANSWERS.gold(text) is None


def test_words_without_articles_and_signs() -> None:
    assert bare_words("The “Horse-shoe” magnet, an old one.") == bare_words("horse shoe magnet old one")
    assert bare_words("A") == ()
