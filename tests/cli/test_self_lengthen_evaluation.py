"""What the commands around the texts of Self-Lengthen say and do, from the command line."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synth.schemas.dataset import Dataset
from synth.schemas.errors import Stale, UsageError
from tests.command import synth
from tests.rows import rows_of, write_rows

ROWS: list[dict[str, Any]] = [
    {"id": "a", "query": "Write in 3,000 words.", "response": "sea " * 3000, "constraint": "around 3000 words"},
    {"id": "b", "query": "写三千字。", "response": "海" * 2000, "constraint": "三千字至四千字"},
    {"id": "c", "query": "Write.", "response": "sea", "constraint": "as you like"},
]


self_lengthen = partial(synth, "self-lengthen")


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "answered.jsonl", ROWS)


def test_the_score_is_told_with_that_of_4000_words_beside_it(tmp_path: Path, answered: Path) -> None:
    said = " ".join(self_lengthen("evaluate", answered, tmp_path / "scored").stderr.split())
    assert "2 rows from 2 of 3 input rows" in said
    assert "rejected: 1 (no_number 1)" in said
    assert "length score 0.6667, about score 1.0000, range score 0.3333" in said
    assert "constant 4000 0.8889, constant 4000 about 0.7778, constant 4000 range 1.0000" in said


def test_the_marks_of_a_judge_are_other_rows(tmp_path: Path, answered: Path) -> None:
    self_lengthen("evaluate", answered, tmp_path / "out", "--judge", "--engine", "echo", "--no-schema")
    rows = rows_of(tmp_path / "out")
    assert {(row["clarity"], row["judge_model"]) for row in rows} == {(None, "echo")}
    with pytest.raises(Stale):
        self_lengthen("evaluate", answered, tmp_path / "out")


def test_texts_are_dropped_curated_and_exported(tmp_path: Path) -> None:
    rows = [
        {"id": f"r-{n}", "instruction": f"Write {n}.", "initial": "The sea.", "response": "The sea is wide. " * n}
        for n in range(1, 11)
    ]
    source = write_rows(tmp_path / "extended.jsonl", rows)
    self_lengthen("drop-short", source, tmp_path / "long")
    kept = {row["id"] for row in rows_of(tmp_path / "long")}
    assert 0 < len(kept) < 9
    for role in ("generator", "extender"):
        self_lengthen("curate", tmp_path / "long", tmp_path / role, "--role", role)
        assert {row["id"] for row in rows_of(tmp_path / role)} == kept
    file = tmp_path / "train.jsonl"
    synth("export", tmp_path / "extender", file, "--as", "llama-factory")
    assert len(file.read_text().splitlines()) == len(kept)


def test_a_reply_that_repeats_the_whole_prompt_is_no_instruction(tmp_path: Path, answered: Path) -> None:
    self_lengthen("constrain", answered, tmp_path / "out", "--engine", "echo", "--tries", "2")
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    assert {row["id"]: row["reason"] for row in rejected.rows()} == {
        "a": "not_rewritten",
        "b": "not_rewritten",
        "c": "too_short",
    }


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("curate", "--role", "generator", "--drop", "0.5"), "--drop has no part in --role generator"),
        (("evaluate", "--model", "tiny"), "--model has no part without --judge"),
        (("evaluate", "--no-schema"), "--schema has no part without --judge"),
    ],
)
def test_options_without_a_part_are_refused(
    command: tuple[str, ...], says: str, tmp_path: Path, answered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=says):
        self_lengthen(command[0], answered, tmp_path / "out", *command[1:])
    monkeypatch.setenv("SYNTH_MODEL", "tiny")
    self_lengthen("evaluate", answered, tmp_path / "out")
