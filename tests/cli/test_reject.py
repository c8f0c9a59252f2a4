"""Rejection sampling and responses on the command line: which answers are read, and what is said where none is."""

from pathlib import Path

import pytest

from synth.schemas.dataset import Dataset
from tests.cli.test_main import refusal
from tests.command import type_synth as synth
from tests.pipelines.scripted import sampled
from tests.rows import write_rows

PAIRS = (("7/9", "7/8"), ("7/9", "7"), ("3 3/8", "3"), ("4e3", "4"), ("6:20", "6:50"), ("31 500", "31"), ("5,6", "56"))


def test_no_path_is_accepted_for_the_first_digits_of_its_answer(tmp_path: Path) -> None:
    paths = []
    for i, (gold, wrong) in enumerate(PAIRS):
        paths += sampled(f"q-{i}", f"So\n#### {wrong}", f"So\n#### {gold}", answer=gold)
    write_rows(tmp_path / "paths.jsonl", paths)
    assert synth("reject", "select", "paths.jsonl", "out", folder=tmp_path).returncode == 0
    accepted = Dataset.open(tmp_path / "out")
    assert accepted.table["id"].to_pylist() == [f"q-{i}/path-1" for i in range(len(PAIRS))]
    assert accepted.rejected is not None
    assert set(accepted.rejected.table["reason"].to_pylist()) == {"wrong_answer"}


def test_gold_answers_that_cannot_be_read_are_a_warning_that_names_the_flag(tmp_path: Path) -> None:
    write_rows(tmp_path / "q.jsonl", ({"question": f"{i}+1?", "answer": f"We add.\nAnswer: {i + 1}"} for i in range(3)))
    sample = ("reject", "sample", "q.jsonl", "out", "--engine", "echo", "-n", 1)
    done = synth(*sample, folder=tmp_path)
    assert done.returncode == 0
    (warning,) = (line for line in done.stderr.splitlines() if "warning" in line)
    assert "all 3 rows were rejected as no_gold" in warning
    assert all(flag in warning for flag in ("--answer-mark", "--boxed", "--column answer="))

    done = synth(*sample, "--fresh", "--answer-mark", "answer:", folder=tmp_path)
    assert (done.returncode, "warning" in done.stderr) == (0, False)
    assert Dataset.open(tmp_path / "out").table.num_rows == 3


def test_paths_that_end_in_other_marks_are_a_warning_until_the_marks_are_named(tmp_path: Path) -> None:
    responses = ("<<3+4=7>>\nA: 7", "<<4+3=7>>\nThe answer is 7. Next!", "<<1+6=7>>\nA: 7/2")
    write_rows(tmp_path / "paths.jsonl", sampled("q", *responses, answer="7"))
    select = ("reject", "select", "paths.jsonl", "out")
    done = synth(*select, folder=tmp_path)
    assert (done.returncode, "all 3 rows were rejected as no_answer" in done.stderr) == (0, True)
    assert "--answer-mark" in done.stderr

    done = synth(*select, "--fresh", "--answer-mark", "The answer is", folder=tmp_path)
    assert "2 of 3 rows were rejected as no_answer: --answer-mark" in done.stderr

    marks = ("--answer-mark", "A: ", "--answer-mark", "The answer is")
    assert "warning" not in synth(*select, "--fresh", *marks, folder=tmp_path).stderr
    kept = ["<<3+4=7>>\nA: 7", "<<4+3=7>>\nThe answer is 7. Next!"]
    assert Dataset.open(tmp_path / "out").table["response"].to_pylist() == kept
    assert "2.00" in synth("reject", "curve", "paths.jsonl", "curve", *marks, folder=tmp_path).stdout


def test_another_mark_is_another_run(tmp_path: Path) -> None:
    write_rows(tmp_path / "paths.jsonl", sampled("q", "A: 7", answer="7"))
    select = ("reject", "select", "paths.jsonl", "out")
    assert synth(*select, folder=tmp_path).returncode == 0
    done = synth(*select, "--answer-mark", "A:", folder=tmp_path)
    assert (done.returncode, "answer_marks" in done.stderr) == (4, True)


def test_responses_that_end_in_another_mark_are_a_warning(tmp_path: Path) -> None:
    write_rows(tmp_path / "q.jsonl", ({"query": f"What is {i}?"} for i in range(2)))
    (tmp_path / "ask.md").write_text("# user\nAnswer: 3/4\n{{ query }}\n")
    respond = ("augment", "respond", "q.jsonl", "out", "--engine", "echo", "-n", 2, "--prompt", "ask.md")
    done = synth(*respond, folder=tmp_path)
    assert done.returncode == 0
    assert "all 8 outputs were rejected as no_answer: --answer-mark" in done.stderr

    done = synth(*respond, "--fresh", "--answer-mark", "Answer:", folder=tmp_path)
    assert (done.returncode, "warning" in done.stderr) == (0, False)
    assert set(Dataset.open(tmp_path / "out").table["answer"].to_pylist()) == {"3/4"}


@pytest.mark.parametrize(
    "command", [("reject", "select"), ("reject", "curve"), ("augment", "respond", "--engine", "echo")]
)
def test_an_empty_mark_is_a_usage_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    write_rows(tmp_path / "in.jsonl", sampled("q", "#### 7"))
    assert "--answer-mark" in refusal(synth(*command, "in.jsonl", "out", "--answer-mark", "", folder=tmp_path), 2)
    assert not (tmp_path / "out").exists()


def test_marks_and_boxes_exclude_each_other(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", sampled("q", "#### 7"))
    done = synth("reject", "select", "in.jsonl", "out", "--boxed", "--answer-mark", "A:", folder=tmp_path)
    assert "--boxed" in refusal(done, 2)
