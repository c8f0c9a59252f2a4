"""Marks give each pattern its failure rate; those that do not mislead go, the others are sharpened."""

import json
from typing import Any

import pyarrow as pa
import pytest

from synth.schemas.errors import InputError
from synth.schemas.records import PATTERN
from tests.pipelines.challenge.made import pattern, question, refine
from tests.pipelines.query_of_cc.talking import Talking
from tests.pipelines.scripted import process

SHARPER = json.dumps({"description": "It counts letters.", "suggestion": "Longer words."})


def marked(wrong: int, right: int, **values: Any) -> list[dict[str, Any]]:
    return [question(n, n >= wrong, **values) for n in range(wrong + right)]


def test_a_pattern_is_sharpened_by_its_marks_and_keeps_its_name() -> None:
    tools = Talking(lambda *_: SHARPER)
    strangers = marked(5, 5, of="spelling")
    (row,), _, _ = process(refine(*marked(2, 1), *strangers), pattern(), tools)
    assert row == pattern(
        id="counting/r1",
        description="It counts letters.",
        suggestion="Longer words.",
        round=1,
        marked=3,
        failed=2,
        failure_rate=2 / 3,
        rate_low=pytest.approx(0.2077, abs=5e-5),
        rate_high=pytest.approx(0.9385, abs=5e-5),
        model="scripted",
    )
    ((messages, _, _),) = tools.requests
    assert messages[0]["content"] == "sharpen: counting, wrong q0 q1, right q2"  # type: ignore[index]
    assert (tools.tallies["failure_rate"], tools.tallies["marked"]) == (2, 3)


def test_a_refined_pattern_can_be_refined_again() -> None:
    (row,), _, _ = process(refine(*marked(1, 0)), pattern(id="counting/r1", round=1), Talking(lambda *_: SHARPER))
    assert (row["id"], row["round"]) == ("counting/r1/r2", 2)


def test_names_agree_whatever_their_case() -> None:
    (row,), _, _ = process(refine(*marked(1, 0, of="COUNTING")), pattern("Counting"), Talking(lambda *_: SHARPER))
    assert row["marked"] == 1


@pytest.mark.parametrize(("wrong", "right", "is_hard"), [(2, 8, False), (3, 7, True), (2, 7, True), (0, 9, True)])
def test_a_pattern_that_does_not_mislead_is_rejected_once_enough_is_known(
    wrong: int, right: int, is_hard: bool
) -> None:
    rows, _, reject = process(refine(*marked(wrong, right), min_n=10), pattern(), Talking(lambda *_: SHARPER))
    assert bool(rows) == is_hard
    if not is_hard:
        assert reject is not None
        assert (reject.reason, reject.detail) == (
            "not_hard",
            "2 of 10 answers are wrong: 20.0 %, with 95 % certainty 5.7 to 51.0 %; see --min-rate",
        )


def test_only_some_of_many_marks_are_shown() -> None:
    tools = Talking(lambda *_: SHARPER)
    process(refine(*marked(9, 9), shown=2), pattern(), tools)
    wrong, right = tools.requests[0][0][0]["content"].partition("wrong ")[2].split(", right ")  # type: ignore[index]
    assert (len(wrong.split()), len(right.split())) == (2, 2)


def test_a_pattern_without_marks_stays_as_it_is_and_nothing_is_asked() -> None:
    tools = Talking(lambda *_: SHARPER)
    rows, _, _ = process(refine(question(1, None)), pattern(), tools)
    assert rows == [pattern()]
    assert (tools.requests, tools.tallies["not_marked"]) == ([], 1)


def judging(asked: str, _: int) -> str:
    if asked.startswith("sharpen"):
        return SHARPER
    return json.dumps({"reason": "Because.", "correct": "right" in asked}) if "?" in asked else "Hm."


def test_the_judge_marks_what_nobody_has_marked_and_only_that() -> None:
    tools = Talking(judging)
    rows = [question(1, True), question(2, None), question(3, None, answer="It is right.")]
    (row,), _, _ = process(refine(*rows, judge=True), pattern(), tools)
    assert (row["marked"], row["failed"]) == (3, 1)
    assert [messages[0]["content"] for messages, _, _ in tools.requests] == [  # type: ignore[index]
        "mark: What is 2? It is. None",
        "mark: What is 3? It is right. None",
        "sharpen: counting, wrong q2, right q1 q3",
    ]
    assert [sampling.temperature for _, sampling, _ in tools.requests] == [0, 0, 0.7]
    assert tools.tallies["judged"] == 2


def test_an_answer_on_which_the_judge_says_nothing_readable_does_not_count() -> None:
    tools = Talking(lambda asked, _: SHARPER if asked.startswith("sharpen") else '{"correct": "yes", "reason": "So."}')
    (row,), _, _ = process(refine(question(1, None), question(2, False), judge=True), pattern(), tools)
    assert (row["marked"], tools.tallies["not_judged"]) == (1, 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [("Sharper!", "unreadable"), ('{"description": "d"}', "wrong_fields"), ("", "empty_answer")],
)
def test_a_pattern_whose_sharper_form_cannot_be_read_is_rejected(reply: str, reason: str) -> None:
    rows, _, reject = process(refine(*marked(1, 0)), pattern(), Talking(lambda *_: reply))
    assert rows == []
    assert reject is not None
    assert reject.reason == reason


def table(*patterns: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(patterns), PATTERN.schema)


def test_two_patterns_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"the patterns a and b are both named 'Counting', .* rename one of them"):
        refine(*marked(1, 0)).prepare(table(pattern(id="a"), pattern("Counting", id="b")))


def test_questions_of_other_patterns_alone_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"--questions: none of 3 questions is of a pattern of the input; .* 'counting'"
    ):
        refine(*marked(1, 2)).prepare(table(pattern("spelling")))


def test_questions_of_a_pattern_that_is_gone_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    refine(*marked(1, 0), *marked(2, 0, of="gone")).prepare(table(pattern()))
    assert "2 questions left out: the input has no pattern of that name" in caplog.text
