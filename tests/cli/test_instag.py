"""`synth instag`: rows in, rows with tags out."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from synth.schemas.errors import InputError
from tests.command import invoke
from tests.rows import rows_of, write_rows

REPLY = 'Here you are: {"tag": "poetry", "explanation": "A poem."} {"tag": "Poetry"} {"tag": "translation"}'


def instag(*arguments: object) -> Result:
    return invoke("instag", *arguments)


def write(path: Path, *rows: dict[str, Any]) -> Path:
    return write_rows(path, rows)


def test_instructions_and_chats_of_several_inputs_are_tagged_in_one_table(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jsonl", {"instruction": "Translate it.", "output": "…"}, {"instruction": ""})
    turns = [{"from": "human", "value": "A poem!"}, {"from": "gpt", "value": "…"}, {"from": "human", "value": "More!"}]
    chats = write(tmp_path / "chats.jsonl", {"conversations": turns})
    echo = ("--engine", "echo", "--engine-arg", f"reply={REPLY}")
    result = instag("tag", plain, chats, tmp_path / "out", *echo, "--no-schema")
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "2 rows from 2 of 3 input rows" in said
    assert "rejected: 1 (no_query 1)" in said
    assert "tagged queries 3" in said
    assert "mean tags per query 2.0000" in said
    rows = rows_of(tmp_path / "out")
    assert [(row["id"], row["queries"]) for row in rows] == [("plain-0", 1), ("chats-0", 2)]
    assert rows[0]["output"] == "…"
    assert rows[0]["raw_tags"] == [
        {"turn": 1, "tag": "poetry", "explanation": "A poem."},
        {"turn": 1, "tag": "translation", "explanation": None},
    ]
    assert "nothing to do" in instag("tag", plain, chats, tmp_path / "out", *echo, "--no-schema").stderr


def test_a_run_with_a_schema_works_without_a_model_too(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"task": "Translate it.", "note": "n"})
    result = instag("tag", source, tmp_path / "out", "--engine", "echo", "--text", "task")
    assert result.exit_code == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["queries"] == 1


def test_a_column_that_must_be_named_is_asked_for_and_then_nothing_stands_in_the_way(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"task": "Translate it.", "note": "n"})
    result = instag("tag", source, tmp_path / "out", "--engine", "echo")
    assert isinstance(result.exception, InputError)
    assert "--text NAME" in str(result.exception)
    assert instag("tag", source, tmp_path / "out", "--engine", "echo", "--text", "task").exit_code == 0


@pytest.mark.parametrize("prompt", ["tag", "tagger"])
def test_both_prompts_that_come_with_it_can_be_used(tmp_path: Path, prompt: str) -> None:
    source = write(tmp_path / "in.jsonl", {"instruction": "Translate it."})
    assert instag("tag", source, tmp_path / "out", "--engine", "echo", "--prompt", prompt).exit_code == 0
