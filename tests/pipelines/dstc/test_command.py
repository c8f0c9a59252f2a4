"""`synth dstc` on the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from synth.schemas.dataset import Dataset
from synth.schemas.errors import SynthError, UsageError
from tests.command import invoke


def dstc(folder: Path, *arguments: str) -> Result:
    (folder / "tasks.jsonl").write_text(json.dumps({"question": "Double a number."}))
    return invoke("dstc", folder / "tasks.jsonl", folder / "out", *arguments)


def test_all_unusable_replies_are_filtered_with_a_reason(tmp_path: Path) -> None:
    result = dstc(tmp_path, "--engine", "echo", "--n-code", "3")
    assert result.exit_code == 0, result.output
    assert "rejected: 1 (too_few_codes 1)" in result.stderr
    assert "filtered: 3 (code_not_python 3)" in result.stderr
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    *codes, task = rejected.rows()
    assert all(code["rejected_code"].startswith("Double a number.") for code in codes)
    assert (task["instruction"], task["detail"]) == ("Double a number.", "0 of 3 codes can be used, 2 are needed")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--test-prompt", "nowhere.md"], "--test-prompt nowhere.md: no such file, .* code, task, test"),
        (["--format", "ppo"], "--format ppo"),
        (["--task-prompt", "test"], "--task-prompt test is a chat"),
        (["--entry", "2x"], "--entry 2x"),
        (["--column", "instruction=task"], "task"),
    ],
)
def test_errors_name_the_flag(tmp_path: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        raise dstc(tmp_path, "--engine", "echo", *arguments).exception or AssertionError


def test_the_format_is_part_of_a_runs_identity(tmp_path: Path) -> None:
    assert dstc(tmp_path, "--engine", "echo").exit_code == 0
    with pytest.raises(SynthError, match='format was "dpo" and is now "kto"'):
        raise dstc(tmp_path, "--engine", "echo", "--format", "kto").exception or AssertionError
