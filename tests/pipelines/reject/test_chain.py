"""The steps one after the other, through the runner."""

import json
from pathlib import Path

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.reject.curve import Curve
from synth.pipelines.reject.sample import SamplePaths
from synth.pipelines.reject.select import SelectPaths
from synth.pipelines.runtime.runner import Options, Run
from synth.schemas.dataset import Dataset

QUESTIONS = [
    {"id": "q-1", "question": "What is 3 and 4?", "answer": "3+4=<<3+4=7>>7\n#### 7"},
    {"id": "q-2", "question": "What is 4 and 4?", "answer": 8},
    {"id": "q-3", "question": "What is left?", "answer": None},
]


def test_from_questions_to_training_rows(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in QUESTIONS))

    def step(
        stage: SamplePaths | SelectPaths | Curve, inputs: list[str], out: str, engine: EchoEngine | None = None
    ) -> Dataset:
        Run(stage, [str(tmp_path / name) for name in inputs], tmp_path / out, Options(), engine=engine).execute()
        return Dataset.open(tmp_path / out)

    sampled = step(SamplePaths(n=3), ["questions.jsonl"], "small", EchoEngine("<<3+4=7>>\n#### 7"))
    assert sampled.table.num_rows == 6
    assert sampled.rejected is not None
    assert [row["reason"] for row in sampled.rejected.rows()] == ["no_gold"]
    step(SamplePaths(n=3), ["questions.jsonl"], "large", EchoEngine("<<4+3=7>>\n#### 7"))

    selected = step(SelectPaths(), ["small", "large"], "selected")
    assert selected.table["id"].to_pylist() == ["q-1/gold", "q-1/path-0/source-1", "q-1/path-0/source-2"]
    assert selected.rejected is not None
    assert selected.rejected.table.num_rows == 10

    curve = step(Curve(), ["small"], "curve")
    assert curve.table.select(["k", "correct_paths", "distinct_paths"]).to_pylist() == [
        {"k": 1, "correct_paths": 0.5, "distinct_paths": 0.5},
        {"k": 3, "correct_paths": 1.5, "distinct_paths": 0.5},
    ]
