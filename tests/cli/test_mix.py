"""`synth mix` is a command, and `synth mix skill-it` another one below it."""

import json
from pathlib import Path

import pytest

from tests.command import run_synth, synth, type_synth
from tests.rows import rows_of, write_rows

GRAPH = [{"skill": "read", "read": 1, "write": 0.5}, {"skill": "write", "read": 0, "write": 1}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "graph.jsonl", GRAPH)
    for skill in ("read", "write"):
        write_rows(tmp_path / f"{skill}.jsonl", [{"id": f"{skill}-{n}", "text": f"{skill} {n}"} for n in range(100)])
    return tmp_path


def test_skills_are_mixed_by_the_weights_that_skill_it_finds(folder: Path) -> None:
    type_synth("mix", "skill-it", "graph.jsonl", "next", "--eta", 0.5, folder=folder)
    said = type_synth(
        *("mix", "write.jsonl", "read.jsonl", "round", "--weights", "next/mixture.json", "--take", 150),
        *("--max-repeats", 2, "--source-column", "skill"),
        folder=folder,
    )
    assert said.returncode == 0, said.stderr
    rows = rows_of(folder / "round")
    assert {skill: sum(row["skill"] == skill for row in rows) for skill in ("read", "write")} == {
        "read": 84,
        "write": 66,
    }
    record = json.loads((folder / "next" / "synth.json").read_text())
    assert record["identity"]["stage"] == "mix skill-it"
    assert record["command"][:2] == ["mix", "skill-it"]
    assert synth("why", "next").output.startswith("next: complete")


def test_options_may_come_before_the_inputs(folder: Path) -> None:
    synth("mix", "--weights", "1,1", "read.jsonl", "write.jsonl", "mixed")
    assert len(rows_of(folder / "mixed")) == 200


def test_each_has_its_help_and_the_upper_one_names_the_lower() -> None:
    upper, lower = synth("mix", "--help").output, synth("mix", "skill-it", "--help").output
    assert "--max-repeats" in upper
    assert "synth mix skill-it: Weigh skills" in upper
    assert "--lone-apart" in lower
    assert "--max-repeats" not in lower


def test_the_process_tells_them_apart_too(folder: Path) -> None:
    done = run_synth("mix", "skill-it", "graph.jsonl", "next", folder=folder)
    assert (done.returncode, done.stderr) == (
        2,
        "synth: --eta is missing: how strongly losses change the mixture, or name a run with --preset\n",
    )


def test_the_schema_of_the_lower_one_has_both_forms_of_its_input() -> None:
    said = synth("schema", "mix", "skill-it").output
    assert "reads with --graph weights: skill_graph" in said
    assert "reads with --graph losses: pair_loss" in said


@pytest.mark.parametrize("weights", ["5;3", "five", "1,,2", "nan"])
def test_weights_that_are_no_numbers_are_refused(folder: Path, weights: str) -> None:
    done = type_synth("mix", "read.jsonl", "write.jsonl", "mixed", "--weights", weights, folder=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("synth: --weights ")
    assert "expected a number" in done.stderr
