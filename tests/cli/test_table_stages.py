"""Options that spread a run over machines: table stages say why they do not take them."""

from pathlib import Path

import pytest

from tests.command import synth, type_synth
from tests.rows import rows_of, write_rows

TABLE_STAGES = ("dedup", "reject select", "mix")


@pytest.mark.parametrize("stage", TABLE_STAGES)
@pytest.mark.parametrize("given", [("--on", "ray"), ("--workers", 4), ("--slice", "0/2")], ids=lambda given: given[0])
def test_a_table_stage_refuses_them_in_one_sentence(tmp_path: Path, stage: str, given: tuple[object, ...]) -> None:
    done = type_synth(*stage.split(), "in/", "out/", *given, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"synth: {stage} reads its whole input in one process, so {given[0]} does not apply to it\n"


@pytest.mark.parametrize("stage", TABLE_STAGES)
def test_its_help_does_not_offer_them(stage: str) -> None:
    assert not {"--on", "--workers", "--slice"} & {*synth(*stage.split(), "--help").output.split()}


def test_a_table_stage_may_have_an_option_of_the_same_name(tmp_path: Path) -> None:
    questions = write_rows(tmp_path / "questions.jsonl", [{"id": "q-1", "question": "Why?"}])
    scores = write_rows(tmp_path / "scores.jsonl", [{"question": "Why?", "score": 0.5}])
    synth("join", questions, scores, tmp_path / "out", "--on", "question")
    assert [row["score"] for row in rows_of(tmp_path / "out")] == [0.5]
