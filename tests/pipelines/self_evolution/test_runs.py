"""Whole runs of a round: what breaks off within a row goes on there."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Request
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.self_evolution.evolve import RefineSelf
from synth.schemas.errors import EngineFailed, InputError
from tests.command import synth
from tests.pipelines.mortal import Mortal
from tests.pipelines.passing import shards
from tests.pipelines.self_evolution.author import kind_of
from tests.rows import Rows, rejected_of, rows_of, write_rows

ROOT = Path(__file__).parents[3]


class Student(Mortal):
    """Answers with a number, finds odd ones correct, and refines each to the next."""

    def says(self, request: Request, seed: int) -> str:
        kind, asked = kind_of(request.prompt), str(request.prompt)
        if kind == "judge":
            is_odd = any(f"The answer is {digit}." in asked for digit in "13579")
            return f"I count again.\nVerdict: {'correct' if is_odd else 'incorrect'}"
        return f"The answer is {seed % 10}."


def run(folder: Path, student: Student) -> Rows:
    prompts = [{"id": f"q{n}", "question": f"What is {n}+1?", "answer": n + 1} for n in range(6)]
    source = write_rows(folder / "prompts.jsonl", prompts)
    Run(RefineSelf(answers=2), [str(source)], folder / "out", Options(in_flight=2), engine=student).execute()
    return rows_of(folder / "out")


def test_four_calls_a_row_are_journaled_and_replayed(tmp_path: Path) -> None:
    whole = Student()
    rows = run(tmp_path / "whole", whole)
    assert rows
    assert {row["reason"] for row in rejected_of(tmp_path / "whole" / "out")} <= {"made_worse", "still_bad"}
    for requests in range(1, len(whole.asked), 5):
        folder = tmp_path / str(requests)
        broken, resumed = Student(requests), Student()
        with pytest.raises(EngineFailed):
            run(folder, broken)
        assert run(folder, resumed) == rows
        assert sorted(broken.asked + resumed.asked) == sorted(whole.asked)
        assert shards(folder / "out") == shards(tmp_path / "whole" / "out")


def test_the_summary_has_the_shares_of_the_round(tmp_path: Path) -> None:
    rows = run(tmp_path, Student())
    record = json.loads((tmp_path / "out" / "synth.json").read_text())
    means, tallies = record["means"], record["counts"]["tallies"]
    assert tallies["judged"] == tallies["with_gold"] == 12
    assert tallies["kept_with_gold"] == len(rows)
    assert means["good_after"] == pytest.approx(len(rows) / 12, abs=1e-6)
    right = sum(row["refined"] == f"The answer is {int(row['prompt_id'][1:]) + 1}." for row in rows)
    assert means["kept_right"] == pytest.approx(right / len(rows), abs=1e-6)
    assert {"good_before", "changed", "right_before", "right_after"} <= set(means)


@pytest.mark.parametrize(
    ("command", "row", "said"),
    [
        ("self", {"text": "Why?"}, "no column prompt or instruction or question or query or problem"),
        ("skills", {"prompt": "Why?"}, "no column response or answer or output"),
        ("skills", {"prompt": "Why?", "response": ["a"]}, "response is a list"),
    ],
)
def test_columns_that_are_missing_or_no_text_are_named(
    tmp_path: Path, command: str, row: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        synth("refine", command, write_rows(tmp_path / "rows.jsonl", [row]), tmp_path / "out", "--engine", "echo")


def test_the_makefile_of_the_loop_trains_each_student_on_all_data_from_the_first_model() -> None:
    words = ["make", "--dry-run", "--file", "self-evolution.mk", "OUT=o", "STUDENT=s", "LABELLER=l"]
    said = subprocess.run(words, cwd=ROOT / "examples", capture_output=True, text=True, check=True).stdout
    assert [line.strip() for line in said.splitlines() if "train" in line] == [
        "synth self-lengthen train o/skills o/student-0 --model s",
        "synth self-lengthen train o/skills o/refined-1 o/student-1 --model s",
        "synth self-lengthen train o/skills o/refined-1 o/refined-2 o/student-2 --model s",
        "synth self-lengthen train o/skills o/refined-1 o/refined-2 o/refined-3 o/student-3 --model s",
    ]
