"""`probe self`: which questions a model knows, and which cannot be told."""

from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.probe.known import ProbeSelf
from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.counting_server import counting_server
from tests.pipelines.prompted.answering import answered
from tests.pipelines.scripted import ScriptedTools, process
from tests.rows import rejected_of, rows_of, write_rows

ROW = {"id": "q", "question": "What is the capital of Peru?", "answer": '["Lima"]'}
RIGHT, WRONG, CUT, BLANK = ("It is Lima.", "stop"), ("Quito", "stop"), ("", "length"), ("", "stop")


def probed(*replies: tuple[str, str], **options: Any) -> Any:
    """The row, or the reason that there is none."""
    stage = ProbeSelf(n=len(replies), **options)
    rows, _, rejection = process(stage, ROW, ScriptedTools(replies))
    return rejection.reason if rejection else rows[0]


def test_the_row_has_the_samples_and_how_many_are_right(tmp_path: Path) -> None:
    rows = [
        {"id": "known", "question": "What is the capital of Peru?", "answer": {"value": "Lima", "aliases": ["LIMA"]}},
        {"id": "unknown", "question": "Who was first?", "answer": ["Ada"]},
    ]
    summary, model = answered(
        tmp_path,
        ProbeSelf(n=2),
        rows,
        lambda asked, number: ("Lima.", "Lima!")[number] if "Peru" in str(asked) else "?",
    )
    known, unknown = rows_of(tmp_path / "out")
    assert known == {
        "id": "known",
        "question": "What is the capital of Peru?",
        "answers": ["Lima", "LIMA"],
        "self": 1,
        "right": 2,
        "samples": 2,
        "replies": ["Lima.", "Lima!"],
        "temperature": 0.7,
        "model": "echo",
    }
    assert (unknown["self"], unknown["right"]) == (0, 0)
    assert summary.record["means"] == {"known": 0.5, "right": 0.5}
    assert [request.n for request in model.requests] == [2, 2]


def test_fewer_right_samples_are_enough_if_that_is_said() -> None:
    samples = (RIGHT, WRONG, RIGHT)
    assert [probed(*samples, min_right=needed)["self"] for needed in (1, 2, 3)] == [1, 1, 0]


def test_another_number_of_right_samples_needs_no_new_answers(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"question": "What?", "answer": "Lima"}])
    with counting_server(says=lambda seed: "Lima" if seed % 2 else "Quito") as server:
        command = ("probe", "self", source, tmp_path / "out", "-n", 4, "--base-url", server.url)
        synth(*command)
        assert [(row["self"], row["right"]) for row in rows_of(tmp_path / "out")] == [(0, 2)]
        server.asked.clear()
        synth(*command, "--min-right", 2, "--stale", "update")
        assert [(row["self"], row["right"]) for row in rows_of(tmp_path / "out")] == [(1, 2)]
        assert server.asked == []


def test_samples_without_an_answer_are_not_right() -> None:
    assert probed(RIGHT, BLANK)["self"] == 0


def test_samples_that_were_cut_while_reasoning_leave_a_question_undecided_only_if_they_would_decide() -> None:
    assert probed(RIGHT, CUT) == "undecided"
    assert probed(RIGHT, WRONG, CUT)["self"] == 0
    assert probed(RIGHT, WRONG, CUT, min_right=1)["self"] == 1


def test_a_question_whose_samples_say_nothing_is_rejected() -> None:
    assert probed(CUT, CUT) == "truncated"
    assert probed(BLANK, BLANK) == "empty_answer"
    assert probed(CUT, BLANK) == "nothing_kept"


@pytest.mark.parametrize("answers", [[], "", None, [None, " "], {"text": "Lima"}, True])
def test_a_question_without_an_answer_is_rejected_or_refused_and_not_asked(tmp_path: Path, answers: Any) -> None:
    rows = [{"question": "What?", "answers": answers}]
    if answers is None:
        with pytest.raises(InputError, match="answer is null"):
            answered(tmp_path, ProbeSelf(n=1), rows, lambda *_: "Lima")
        return
    summary, model = answered(tmp_path, ProbeSelf(n=1), rows, lambda *_: "Lima")
    assert (summary.counts.reasons, model.requests) == ({"no_answers": 1}, [])


def test_a_blank_question_is_rejected_and_not_asked() -> None:
    tools = ScriptedTools([])
    _, _, rejection = process(ProbeSelf(), {**ROW, "question": " \n"}, tools)
    assert rejection is not None
    assert (rejection.reason, tools.requests) == ("no_question", [])


def test_rejected_questions_can_be_read_again(tmp_path: Path) -> None:
    rows = [{"question": "What?", "answers": ["Lima", "The City"]}]
    answered(tmp_path, ProbeSelf(n=1), rows, lambda *_: "")
    assert [row["reason"] for row in rejected_of(tmp_path / "out")] == ["empty_answer"]
    (row,) = rejected_of(tmp_path / "out")
    again = {"question": row["question"], "answer": row["answer"]}
    answered(tmp_path, ProbeSelf(n=1), [again], lambda *_: "Lima")
    assert rows_of(tmp_path / "out")[0]["answers"] == ["Lima", "The City"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 3, "min_right": 4}, "--min-right 4 is more than -n 3"),
        ({"n": 0}, "-n 0: must be at least 1"),
        ({"match": "exact"}, "--match exact: must be one of word, substring, final"),
        ({"match": "final", "answer_marks": (" ",)}, "--answer-mark is empty"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ProbeSelf(**options)


def test_marks_apply_to_final_answers_only(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"question": "What?", "answers": "1"}])
    with pytest.raises(UsageError, match="--boxed applies only with --match final"):
        synth("probe", "self", source, tmp_path / "out", "--boxed", "--engine", "echo")
