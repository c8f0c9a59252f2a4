"""Which replies contain an accepted answer, and what answers may look like."""

import json
from typing import Any

import pytest

from synth.pipelines.probe.matching import Match, accepted_answers, looking_for
from synth.pipelines.runtime.answers.rules import answer_rule


def is_right(reply: str, *answers: str, match: Match = "word") -> bool:
    found = looking_for(answers, match, answer_rule(False))
    assert found is not None
    return found(reply)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("It is LIMA.", "Lima"),
        ("That was Jean-Paul\nSartre!", "jean paul sartre"),
        ("O’Brien wrote it", "O'Brien"),
        ("Beyonce\u0301 did", "Beyoncé"),
        ("它是北京市。", "北京"),
        ("U.S. Navy", "U.S."),
    ],
)
def test_the_words_of_an_answer_count_in_any_spelling(reply: str, answer: str) -> None:
    assert is_right(reply, "Quito", answer)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("a limabean", "Lima"), ("Paul Sartre, Jean", "Jean Paul Sartre"), ("In 2011", "1"), ("", "Lima")],
)
def test_parts_of_words_and_words_apart_do_not(reply: str, answer: str) -> None:
    assert not is_right(reply, answer)


def test_a_substring_counts_within_words_and_with_its_signs() -> None:
    assert is_right("a LIMABEAN", "Lima", match="substring")
    assert not is_right("Jean Paul", "jean-paul", match="substring")


@pytest.mark.parametrize(
    ("reply", "right"), [("4+1=5\n#### 5.0", True), ("5 of them\n#### 6", False), ("It is 5.", False)]
)
def test_final_answers_are_compared_by_value(reply: str, right: bool) -> None:
    assert is_right(reply, "2+3=5\n#### 5", match="final") is right


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        ("Lima", ["Lima"]),
        (72, ["72"]),
        (["Lima", "Ciudad", "Lima", None], ["Lima", "Ciudad"]),
        ({"value": "Lima", "aliases": ["Lima", "The City"], "type": "WikipediaEntity"}, ["Lima", "The City"]),
        ('["Lima", "The City"]', ["Lima", "The City"]),
        ("[sic]", ["[sic]"]),
        (None, []),
        (True, []),
        ({"text": "Lima"}, []),
    ],
)
def test_answers_are_read_in_any_layout(given: Any, answers: list[str]) -> None:
    assert accepted_answers(json.dumps(given)) == answers


@pytest.mark.parametrize("match", ["word", "substring", "final"])
def test_there_is_nothing_to_look_for_in_blank_answers(match: Match) -> None:
    assert looking_for(["", " "], match, answer_rule(False)) is None
    assert looking_for([], match, answer_rule(False)) is None
