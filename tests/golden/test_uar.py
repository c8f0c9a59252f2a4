"""Worked vectors of UAR (arXiv 2406.12534): the decision, what a model knows, and the data of each criterion."""

from itertools import product
from pathlib import Path

import pytest

from synth.pipelines.probe.balance import Balance
from synth.pipelines.probe.criteria import RETRIEVES, class_of, decide
from synth.pipelines.probe.known import ProbeSelf
from tests.pipelines.passing import passed
from tests.pipelines.scripted import ScriptedTools, process
from tests.rows import write_rows

# (intent, knowledge, time, self), 1 where the criterion applies: asks for a search, needs no knowledge, changes with
# time, is not known to the model.
TABLE = {
    (0, 0, 0, 0): False, (0, 0, 0, 1): True, (0, 0, 1, 0): True, (0, 0, 1, 1): True,
    (0, 1, 0, 0): False, (0, 1, 0, 1): False, (0, 1, 1, 0): False, (0, 1, 1, 1): False,
    (1, 0, 0, 0): True, (1, 0, 0, 1): True, (1, 0, 1, 0): True, (1, 0, 1, 1): True,
    (1, 1, 0, 0): True, (1, 1, 0, 1): True, (1, 1, 1, 0): True, (1, 1, 1, 1): True,
}  # fmt: skip


def test_the_decision_over_all_sixteen_combinations() -> None:
    decisions = {
        applies: decide(dict(zip(RETRIEVES, map(float, applies), strict=True)))[0]
        for applies in product((0, 1), repeat=4)
    }
    assert decisions == TABLE
    assert sum(need is True for need in decisions.values()) == 11


@pytest.mark.parametrize(
    ("probabilities", "criterion"),
    [((1, 1, 1, 1), "intent"), ((0, 1, 1, 1), "knowledge"), ((0, 0, 1, 1), "time"), ((0, 0, 0, 1), "self")],
)
def test_the_first_criterion_that_applies_decides(probabilities: tuple[float, ...], criterion: str) -> None:
    assert decide(dict(zip(RETRIEVES, probabilities, strict=True)))[1] == criterion


def test_one_half_counts_after_rounding_to_four_digits() -> None:
    assert [class_of(probability) for probability in (0.5, 0.49996, 0.49994)] == [0, 0, 1]
    assert decide({"time": 0.49996}) == (True, "time")
    assert decide({"time": 0.49994}) == (False, None)


@pytest.mark.parametrize(("right", "known"), [(10, 1), (9, 0), (0, 0)])
def test_a_model_knows_what_it_answers_right_ten_times_of_ten(right: int, known: int) -> None:
    row = {"id": "q", "question": "What is the capital of Peru?", "answer": '["Lima"]'}
    ((answered,), _, _) = process(ProbeSelf(), row, ScriptedTools(["It is Lima."] * right + ["Quito"] * (10 - right)))
    assert (answered["self"], answered["right"], answered["samples"]) == (known, right, 10)


@pytest.mark.parametrize(("match", "right"), [("substring", 1), ("word", 0)])
def test_the_published_code_finds_a_one_in_2011(match: str, right: int) -> None:
    row = {"id": "q", "question": "How many moons has the Earth?", "answer": '["1"]'}
    ((answered,), _, _) = process(ProbeSelf(n=1, match=match), row, ScriptedTools(["It was found in 2011."]))  # type: ignore[arg-type]
    assert answered["right"] == right


def test_half_of_the_questions_get_a_wish_before_and_after_them_in_turn(tmp_path: Path) -> None:
    asked = write_rows(tmp_path / "asked.jsonl", [{"question": f"What is {number}?"} for number in range(40)])
    wishes = write_rows(tmp_path / "wishes.jsonl", [{"wish": "Look it up."}, {"wish": "Search first."}])
    rows, _ = passed(Balance("intent", intents=str(wishes)), [asked], tmp_path / "out")
    wishing = [row for row in rows if row["label"] == 0]
    assert len(rows) == 40
    assert [row["position"] for row in wishing] == ["before", "after"] * 10
    for row in wishing:
        texts = row["question"].split(row["wish"])
        assert texts[["before", "after"].index(row["position"])] == ""
    assert all(row["wish"] is None and row["question"].startswith("What is ") for row in rows if row["label"] == 1)


def test_questions_that_change_with_time_stand_against_as_many_others_and_none_is_in_both(tmp_path: Path) -> None:
    changing = write_rows(tmp_path / "taqa.jsonl", [{"question": f"Who leads country {n}?"} for n in range(9)])
    lasting = [{"question": f"Who founded country {n}?"} for n in range(30)] + [{"question": "who leads  country 3?"}]
    trivia = write_rows(tmp_path / "trivia.jsonl", lasting)
    rows, rejected = passed(Balance("time", negative=(str(trivia),)), [changing, trivia], tmp_path / "out")
    assert [sum(row["label"] == label for row in rows) for label in (0, 1)] == [8, 8]
    assert {row["label"] for row in rows if "leads" in row["question"]} == {0}
    assert sorted((row["id"], row["reason"]) for row in rejected) == [
        ("taqa-3/source-1", "in_both_classes"),
        ("trivia-30/source-2", "in_both_classes"),
    ]
