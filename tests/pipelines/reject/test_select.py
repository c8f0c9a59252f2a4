import random
from typing import Any

import pyarrow as pa
import pytest

from synth.pipelines.reject import questions
from synth.pipelines.reject.questions import paths_by_question
from synth.pipelines.reject.select import SelectPaths
from synth.schemas.errors import InputError
from synth.schemas.records import PATH
from tests.pipelines.scripted import process_tables, sampled

GOLD = "Three and four: <<3+4=7>>7\n#### 7"
RESPONSES = (
    "<<3+4=7>>7.\n#### 7\nThat was all.",
    "<<4+3=7>>7.\n#### 7",
    "I am adding the three to the four here: <<3+4=7>>7.\n#### 7",
    "<<4+4=8>>8.\n#### 8",
    "<<3+4=8>>.\n#### 7",
    "I do not know.",
    "<<3+4=7>>.\n#### 7",
)


def test_gold_comes_first_then_the_kept_paths_in_order_of_acceptance() -> None:
    outcome = process_tables(SelectPaths(), sampled("q", *RESPONSES, answer=GOLD))
    assert [(row["id"], row["origin"], row["key"], row["sample"], row["model"]) for row in outcome.rows] == [
        ("q/gold", "gold", "3+4=7", None, None),
        ("q/path-2", "sampled", "3+4=7", 2, "small"),
        ("q/path-1", "sampled", "4+3=7", 1, "small"),
    ]
    assert outcome.rows[0]["response"] == GOLD


def test_every_other_path_is_rejected_with_its_reason() -> None:
    outcome = process_tables(SelectPaths(), sampled("q", *RESPONSES, answer=GOLD))
    assert {row["id"]: (reason, detail) for row, reason, detail in outcome.rejected} == {
        "q/path-0": ("duplicate", "same calculation as q/path-2"),
        "q/path-3": ("wrong_answer", "answers 8, gold is 7"),
        "q/path-4": ("wrong_equation", "3+4=8 does not hold"),
        "q/path-5": ("no_answer", "no final answer can be read"),
        "q/path-6": ("duplicate", "same calculation as q/path-2"),
    }
    assert outcome.tallies == {
        "questions": 1,
        "correct_paths": 4,
        "distinct_paths": 2,
        "questions_with_2_distinct": 1,
    }


def test_kept_paths_are_trimmed_and_rejected_ones_are_not() -> None:
    outcome = process_tables(
        SelectPaths(gold=False), sampled("q", RESPONSES[0], "Seven.\n#### 8\nThat was all.", answer=GOLD)
    )
    assert [row["response"] for row in outcome.rows] == ["<<3+4=7>>7.\n#### 7"]
    assert [row["response"] for row, _, _ in outcome.rejected] == ["Seven.\n#### 8\nThat was all."]


@pytest.mark.parametrize("answer", ["7", "#### 7", "$7.00"])
def test_a_bare_gold_answer_is_no_training_row(answer: str) -> None:
    outcome = process_tables(SelectPaths(), sampled("q", RESPONSES[0], answer=answer))
    assert [row["id"] for row in outcome.rows] == ["q/path-0"]


def test_a_question_without_a_correct_path_still_gives_its_gold_row() -> None:
    outcome = process_tables(SelectPaths(), sampled("q", "#### 9", answer=GOLD))
    assert [row["id"] for row in outcome.rows] == ["q/gold"]


def test_without_gold_all_paths_are_rejected() -> None:
    outcome = process_tables(SelectPaths(), sampled("q", *RESPONSES[:2], answer="I add.\nI do not know."))
    assert outcome.rows == []
    assert outcome.reasons == {"q/path-0": "no_gold", "q/path-1": "no_gold"}


def test_a_path_is_rejected_whose_answer_only_begins_like_the_gold_answer() -> None:
    for gold, wrong in [
        ("7/9", ("7/8", "7", "7 9")),
        ("3 3/8", ("3", "3 1/8", "27/9")),
        ("4e3", ("4", "4e2")),
        ("6:20", ("6:40", "6", "6:20 pm")),
        ("31 500", ("31", "500")),
        ("5,6", ("56", "5.6", "5")),
        ("2.345,6", ("2.3456", "2")),
        ("North", ("South", "5")),
        ("42", ("42/5", "42 or 43", "42 thousand", "42x", "4,2", "420")),
    ]:
        right, *rejected = sampled("q", *(f"So:\n#### {text}" for text in (gold, *wrong)), answer=f"It is\n#### {gold}")
        outcome = process_tables(SelectPaths(gold=False), [right, *rejected])
        assert [row["id"] for row in outcome.rows] == [right["id"]]
        assert set(outcome.reasons.values()) == {"wrong_answer"}


def test_sampled_and_gold_solutions_have_one_form() -> None:
    outcome = process_tables(SelectPaths(), sampled("q", "\n3+4=7\n#### 7 \r\n\nDone.", answer=GOLD))
    assert [row["response"] for row in outcome.rows] == [GOLD, "3+4=7\n#### 7"]


def test_other_marks_can_be_read() -> None:
    paths = sampled("q", "<<3+4=7>>\nA: 7\nQ: next", "<<4+3=7>>\n#### 7", answer="3+4=7\nA: 7")
    outcome = process_tables(SelectPaths(answer_marks=("A:",)), paths)
    assert [row["response"] for row in outcome.rows] == ["3+4=7\nA: 7", "<<3+4=7>>\nA: 7"]
    assert outcome.reasons == {"q/path-1": "no_answer"}


def test_paths_of_several_models_compete_in_the_order_given() -> None:
    small = sampled("q", "<<3+4=7>>\n#### 7", answer=GOLD)
    large = sampled("q", "<<3+4=7>>!\n#### 7", "<<4+3=7>>\n#### 7", answer=GOLD, model="large")
    outcome = process_tables(SelectPaths(), small, large)
    assert [row["id"] for row in outcome.rows] == ["q/gold", "q/path-0/source-1", "q/path-1/source-2"]
    assert [row["model"] for row in outcome.rows] == [None, "small", "large"]
    assert [(row["id"], detail) for row, _, detail in outcome.rejected] == [
        ("q/path-0/source-2", "same calculation as q/path-0/source-1")
    ]


def test_the_same_id_for_two_questions_is_an_input_error() -> None:
    with pytest.raises(InputError, match="query id q "):
        process_tables(SelectPaths(), sampled("q", "#### 7", answer="7"), sampled("q", "#### 7", answer="8"))


def test_models_that_do_not_annotate_keep_more_than_one_path_on_request() -> None:
    paths = sampled("q", "3 + 4 = 7\n#### 7", "4 + 3 = 7\n#### 7", answer="7")
    assert len(process_tables(SelectPaths(), paths).rows) == 1
    assert [row["key"] for row in process_tables(SelectPaths(plain_equations=True), paths).rows] == ["3+4=7", "4+3=7"]


def test_boxed_answers() -> None:
    pytest.importorskip("math_verify", reason="math-verify is an extra")
    paths = sampled("q", r"So \boxed{\frac{14}{2}}", "#### 7", r"Or \boxed{8}", answer=r"It is $\boxed{7}$.")
    outcome = process_tables(SelectPaths(boxed=True), paths)
    assert [row["id"] for row in outcome.rows] == ["q/gold", "q/path-0"]
    assert outcome.reasons == {"q/path-1": "no_answer", "q/path-2": "wrong_answer"}


def test_questions_keep_their_order_whatever_the_order_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "BATCH_ROWS", 7)
    rows: list[dict[str, Any]] = [
        row for number in range(40) for row in sampled(f"q-{number}", *"abcd"[: 1 + number % 4])
    ]
    random.Random(5).shuffle(rows)
    # Many small chunks, some of them empty, as a memory-mapped table has.
    pieces = [rows[start : start + 9] for start in range(0, len(rows), 9)] + [[]]
    table = pa.concat_tables([pa.Table.from_pylist(piece, PATH.schema) for piece in pieces])
    grouped = list(paths_by_question([table]))
    assert [paths[0]["query_id"] for paths in grouped] == list(dict.fromkeys(row["query_id"] for row in rows))
    for paths in grouped:
        number = int(paths[0]["query_id"].removeprefix("q-"))
        assert paths == sampled(f"q-{number}", *"abcd"[: 1 + number % 4])


def test_no_rows_give_no_rows() -> None:
    assert process_tables(SelectPaths(), []).rows == []
