"""Whole runs of `refine correct`: inputs as they are published, and runs that break off."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from synth.pipelines.engines import Request
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.self_correction.correct import Correct
from synth.schemas.errors import EngineFailed, InputError
from tests.command import synth
from tests.pipelines.mortal import Mortal
from tests.pipelines.passing import shards
from tests.rows import Rows, rows_of, write_rows

ROOT = Path(__file__).parents[3]
FACTS = ROOT / "examples" / "facts.jsonl"
PUBLISHED = {"question": "Where do gulls rest?", "choices": {"label": ["A", "B"], "text": ["on a cliff", "at sea"]}}


class Pupil(Mortal):
    """Answers B or C, and verifies either."""

    def says(self, request: Request, seed: int) -> str:
        system = request.prompt[0]["content"]  # type: ignore[index]
        if "looks the answer over" in system:
            verdict = "incorrect" if "The answer is wrong." in system else "correct"
            return f"I look at it again, time {seed % 97}.\nVerdict: {verdict}"
        return f"So it seems.\nThe answer is {'BC'[seed % 2]}."


def run(folder: Path, pupil: Pupil, **options: Any) -> Rows:
    stage = Correct(n=6, verify="model")
    Run(stage, [str(FACTS)], folder / "out", Options(**options), engine=pupil).execute()
    return rows_of(folder / "out")


def test_a_run_that_breaks_off_within_a_row_asks_nothing_twice_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = Pupil()
    rows = run(tmp_path / "whole", whole, in_flight=2)
    assert {row["case"] for row in rows} == {"good", "bad"}
    # Six questions, and a verification for each case.
    assert len(whole.asked) == 6 + len(rows)
    for requests in range(1, len(whole.asked), 3):
        folder = tmp_path / str(requests)
        broken = Pupil(requests)
        with pytest.raises(EngineFailed):
            run(folder, broken, in_flight=2)
        resumed = Pupil()
        assert run(folder, resumed, in_flight=2) == rows
        assert len(broken.asked) == requests
        assert sorted(broken.asked + resumed.asked) == sorted(whole.asked)
        assert shards(folder / "out") == shards(tmp_path / "whole" / "out")


def test_every_question_is_accounted_for(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "open", "question": "What is 3+4?", "answerKey": 7},
        {"id": "choice", **PUBLISHED, "answerKey": "B"},
        {"id": "no gold", **PUBLISHED, "answerKey": "Z"},
        {"id": "no options", **PUBLISHED, "choices": [], "answerKey": "A"},
        {"id": "blank", **PUBLISHED, "question": "", "answerKey": "A"},
    ]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    summary = Run(Correct(n=4), [str(source)], tmp_path / "out", Options(), engine=Pupil()).execute()
    assert summary.counts.reasons == {"no_gold": 1, "bad_choices": 1, "no_question": 1}
    assert {row["question_id"] for row in rows_of(tmp_path / "out")} == {"open", "choice"}


def test_options_come_from_parquet_and_csv_as_well(tmp_path: Path) -> None:
    row = {"id": "q", **PUBLISHED, "answerKey": "B"}
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    cell = json.dumps(PUBLISHED["choices"]).replace('"', '""')
    (tmp_path / "rows.csv").write_text(f'id,question,choices,answerKey\nq,Where do gulls rest?,"{cell}",B\n')
    write_rows(tmp_path / "rows.jsonl", [row])
    asked = "Where do gulls rest?\n\n(A) on a cliff\n(B) at sea"
    found = []
    for name in ("rows.jsonl", "rows.parquet", "rows.csv"):
        out = tmp_path / f"{name}-out"
        Run(Correct(n=6), [str(tmp_path / name)], out, Options(), engine=Pupil()).execute()
        found.append(rows_of(out))
        assert {one["question"] for one in found[-1]} == {asked}
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Why?"}, "no column answer or response or solution or answerKey"),
        ({"answer": "7"}, "no column question or query or problem or question_stem"),
        ({"question": 7, "answer": "7"}, "question"),
    ],
)
def test_columns_that_are_missing_or_no_text_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        synth("refine", "correct", write_rows(tmp_path / "rows.jsonl", [row]), tmp_path / "out", "--engine", "echo")
