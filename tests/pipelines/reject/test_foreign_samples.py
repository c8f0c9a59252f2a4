"""Samples that others drew: rows that name neither their question nor their place, and perhaps no gold answer."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.reject.questions import paths_by_question
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale
from synth.schemas.records import SAMPLED
from tests.command import synth
from tests.pipelines.scripted import sampled
from tests.rows import rows_of, write_rows

Rows = Sequence[dict[str, Any]]

SEVEN, FOUR = "How many days has a week?", "How many wheels has a car?"


def path(calculation: str, answer: object) -> str:
    return f"It is <<{calculation}={answer}>>{answer}.\n#### {answer}"


reject = partial(synth, "reject")


def grouped(rows: Rows) -> list[list[Any]]:
    """The paths of each question of rows `r0`, `r1` and on."""
    named = [{**row, "id": f"r{number}"} for number, row in enumerate(rows)]
    return list(paths_by_question([pa.Table.from_pylist(named, SAMPLED.schema)]))


def selected(out: Path) -> list[tuple[str, str, int | None]]:
    return [(row["id"], row["query_id"], row["sample"]) for row in rows_of(out)]


def reasons(out: Path) -> dict[str, str]:
    rejected = Dataset.open(out).rejected
    return {row["id"]: row["reason"] for row in rejected.rows()} if rejected else {}


@pytest.mark.parametrize("query", ["query", "question", "problem"])
def test_rows_of_a_question_an_answer_and_a_response_are_enough(tmp_path: Path, query: str) -> None:
    samples = [
        {query: SEVEN, "answer": "#### 7", "response": path("6+1", 7)},
        {query: FOUR, "answer": "#### 4", "response": path("2+2", 4)},
        {query: SEVEN, "answer": "#### 7", "response": path("5+2", 7)},
        {query: SEVEN, "answer": "#### 7", "response": path("5+3", 8)},
    ]
    reject("select", write_rows(tmp_path / "theirs.jsonl", samples), tmp_path / "out")
    assert selected(tmp_path / "out") == [
        ("theirs-0", "theirs-0", 0),
        ("theirs-2", "theirs-0", 1),
        ("theirs-1", "theirs-1", 0),
    ]
    assert reasons(tmp_path / "out") == {"theirs-3": "wrong_answer"}


def test_texts_that_differ_in_a_blank_are_two_questions() -> None:
    rows = [{**sampled("q", path("6+1", 7))[0], "query": SEVEN + " " * place, "query_id": None} for place in range(2)]
    outcome = grouped(rows)
    assert [[one["query_id"] for one in paths] for paths in outcome] == [["r0"], ["r1"]]


def test_a_gold_answer_may_be_a_number_and_is_that_of_all_rows_of_its_question(tmp_path: Path) -> None:
    samples = [
        {"query": SEVEN, "answer": None, "response": path("6+1", 7)},
        {"query": SEVEN, "answer": 7, "response": path("5+2", 7)},
        {"query": FOUR, "answer": None, "response": path("2+2", 4)},
    ]
    reject("select", write_rows(tmp_path / "theirs.jsonl", samples), tmp_path / "out")
    assert [row_id for row_id, _, _ in selected(tmp_path / "out")] == ["theirs-0", "theirs-1"]
    assert reasons(tmp_path / "out") == {"theirs-2": "no_gold"}


def test_rows_without_an_id_join_the_question_that_has_their_text(tmp_path: Path) -> None:
    ours = sampled("week", path("6+1", 7), answer="That is 7.\n#### 7")
    ours = [{**row, "query": SEVEN} for row in ours]
    theirs = [{"query": SEVEN, "response": path("5+2", 7)}, {"query": SEVEN, "response": path("6+1", 7)}]
    merged = write_rows(tmp_path / "theirs.jsonl", theirs)
    reject("select", write_rows(tmp_path / "ours.jsonl", ours), tmp_path / "out", "--merge", merged)
    assert selected(tmp_path / "out") == [
        ("week/gold", "week", None),
        ("week/path-0/source-1", "week", 0),
        ("theirs-0/source-2", "week", 0),
    ]
    assert reasons(tmp_path / "out") == {"theirs-1/source-2": "duplicate"}


def test_blank_cells_count_as_missing(tmp_path: Path) -> None:
    cells = [f'{SEVEN},7,"{path("6+1", 7)}",,', f'{FOUR},4,"{path("2+2", 4)}",,', f'{SEVEN},,"{path("5+2", 7)}",,']
    file = tmp_path / "theirs.csv"
    file.write_text("\n".join(["query,answer,response,sample,query_id", *cells, ""]))
    reject("select", file, tmp_path / "out")
    assert selected(tmp_path / "out") == [
        ("theirs-0", "theirs-0", 0),
        ("theirs-2", "theirs-0", 1),
        ("theirs-1", "theirs-1", 0),
    ]


def test_two_gold_answers_of_one_question_are_an_input_error() -> None:
    rows = sampled("q", path("6+1", 7), path("6+1", 7))
    rows[1] |= {"answer": "#### 8"}
    with pytest.raises(InputError, match="not the same question and gold answer"):
        grouped(rows)


def test_published_pairs_get_their_gold_answers_from_the_questions(tmp_path: Path) -> None:
    """The rows of RFT are a query and a response."""
    pairs = write_rows(
        tmp_path / "rft.jsonl",
        [
            {"query": SEVEN, "response": path("6+1", 7)},
            {"query": SEVEN, "response": path("6+2", 8)},
            {"query": FOUR, "response": path("2+2", 4)},
            {"query": "What is nowhere asked?", "response": path("1+1", 2)},
        ],
    )
    questions = write_rows(
        tmp_path / "gsm8k.jsonl", [{"question": SEVEN, "answer": path("3+4", 7)}, {"question": FOUR, "answer": 4}]
    )
    with pytest.raises(InputError, match=r"--column answer=NAME.* --questions INPUT"):
        reject("select", pairs, tmp_path / "out")
    reject("select", pairs, tmp_path / "out", "--questions", questions)
    assert [row_id for row_id, _, _ in selected(tmp_path / "out")] == ["rft-0/gold", "rft-0", "rft-2"]
    assert reasons(tmp_path / "out") == {"rft-1": "wrong_answer", "rft-3": "no_gold"}
    reject("curve", pairs, tmp_path / "curve", "--questions", questions)
    assert [(row["k"], row["questions"], row["correct_paths"]) for row in rows_of(tmp_path / "curve")] == [
        (1, 2, 1.0),
        (2, 2, 1.0),
    ]


def test_other_questions_make_another_selection(tmp_path: Path) -> None:
    pairs = write_rows(tmp_path / "pairs.jsonl", [{"query": SEVEN, "response": path("6+1", 7)}])
    week, longer = (write_rows(tmp_path / f"{days}.jsonl", [{"question": SEVEN, "answer": days}]) for days in (7, 8))
    reject("select", pairs, tmp_path / "out", "--questions", week)
    with pytest.raises(Stale, match="questions"):
        reject("select", pairs, tmp_path / "out", "--questions", longer)
    twice = write_rows(tmp_path / "twice.jsonl", [{"question": SEVEN, "answer": answer} for answer in (7, 8)])
    with pytest.raises(InputError, match="two answers to the question"):
        reject("select", pairs, tmp_path / "other", "--questions", twice)


def test_selecting_from_a_selection_keeps_ids_unique(tmp_path: Path) -> None:
    ours = sampled("q", path("6+1", 7), answer=path("3+4", 7))
    questions = write_rows(tmp_path / "gold.jsonl", [{"question": ours[0]["query"], "answer": path("3+4", 7)}])
    reject("select", write_rows(tmp_path / "ours.jsonl", ours), tmp_path / "once")
    reject("select", tmp_path / "once", tmp_path / "twice", "--questions", questions)
    assert [row_id for row_id, _, _ in selected(tmp_path / "twice")] == ["q/gold/gold", "q/gold", "q/path-0"]


def test_an_input_is_part_of_its_question(tmp_path: Path) -> None:
    rows = [
        {"question": "Add up.", "input": f"{number} and 1", "answer": number + 1, "response": path(f"{number}+1", sum_)}
        for number, sum_ in ((1, 2), (2, 3))
    ]
    reject("select", write_rows(tmp_path / "sums.jsonl", rows), tmp_path / "out")
    assert [row["query"] for row in rows_of(tmp_path / "out")] == [
        "Add up.\n\n1 and 1",
        "Add up.\n\n2 and 1",
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_missing_values_are_filled_in_whatever_is_missing(rows: list[tuple[str, bool, bool]]) -> None:
    """Ids and indices are the same whether rows have them or they are filled in."""
    counts = dict.fromkeys("abc", 0)
    whole, partial = [], []
    for number, (question, has_id, has_place) in enumerate(rows):
        row = {**sampled("x", "#### 7")[0], "id": f"r{number}", "query": question}
        whole.append({**row, "query_id": question, "sample": counts[question]})
        partial.append(
            {**row, "query_id": question if has_id else None, "sample": counts[question] if has_place else None}
        )
        counts[question] += 1
    expected = [[(one["query"], one["id"], one["sample"]) for one in paths] for paths in grouped(whole)]
    found = grouped(partial)
    assert [[(one["query"], one["id"], one["sample"]) for one in paths] for paths in found] == expected
    named = {question for question, has_id, _ in rows if has_id}
    for paths in found:
        (query_id,) = {one["query_id"] for one in paths}
        assert query_id == (paths[0]["query"] if paths[0]["query"] in named else paths[0]["id"])
