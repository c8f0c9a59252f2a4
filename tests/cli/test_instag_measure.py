"""`synth instag measure` and `synth instag select`: what a reader sees of tags, and of what was selected by them."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.schemas.errors import InputError
from tests.command import invoke, type_synth
from tests.rows import rows_of, write_rows


def write(path: Path, *tags: list[str] | None, column: str = "tags") -> str:
    return str(write_rows(path, ({"id": f"r-{i}", column: each} for i, each in enumerate(tags))))


def instag(*arguments: object) -> Any:
    return invoke("instag", *arguments)


def page(*arguments: object, folder: Path) -> list[str]:
    """The lines of `measure` in a pipe, none of them longer than 80 characters."""
    done = type_synth("instag", "measure", *arguments, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    return done.stdout.splitlines()


def line(lines: list[str], start: str) -> list[str]:
    (found,) = [line for line in lines if line.startswith(start)]
    return found.removeprefix(start).split()


def test_one_dataset_is_shown_with_its_tags_and_what_goes_together(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", ["poetry", "song"], ["poetry"], ["poetry", "song"], None)
    lines = page("pool.jsonl", folder=tmp_path)
    assert line(lines, "rows") == ["4"]
    assert line(lines, "without tags") == ["1", "(25.0%)"]
    assert line(lines, "complexity") == ["1.25", "tags", "per", "row"]
    assert line(lines, "poetry") == ["█" * 32, "3", "75.0%"]
    assert line(lines, "2 ") == ["█" * 32, "2", "50.0%"]
    assert line(lines, "song → poetry") == ["2", "100.0%", "1.33"]


def test_two_datasets_stand_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", ["poetry", "song"], ["prose"])
    write(tmp_path / "selected.jsonl", ["poetry", "song"])
    lines = page("pool.jsonl", "selected.jsonl", folder=tmp_path)
    assert lines[:2] == ["A  pool.jsonl", "B  selected.jsonl"]
    assert line(lines, "diversity") == ["100.0%", "66.7%"]
    assert line(lines, "prose") == ["████", "1", "50.0%", "0", "0.0%"]


def test_tags_that_a_vocabulary_lacks_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", ["poetry", "new"])
    (tmp_path / "vocabulary.jsonl").write_text('{"tag": "poetry"}\n{"tag": "song"}\n')
    lines = page("pool.jsonl", "--vocabulary", "vocabulary.jsonl", folder=tmp_path)
    assert line(lines, "diversity") == ["50.0%,", "and", "1", "others"]


def test_tags_of_any_kind_are_shown_literally_and_shortened(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", ["\x1b[2J", "[bold]", "x" * 10_000, "two\nlines", "机器学习" * 20])
    text = "\n".join(page("pool.jsonl", folder=tmp_path))
    assert "\\x1b[2J" in text
    assert "[bold]" in text
    assert "two\\nlines" in text
    assert "\x1b" not in text
    assert "x" * 41 not in text


def test_rows_of_very_many_tags_share_a_line(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", [f"t{i}" for i in range(5_000)], ["t1"], [f"t{i}" for i in range(30)])
    lines = page("pool.jsonl", folder=tmp_path)
    assert line(lines, "25 to 5,000") == ["█" * 32, "2", "66.7%"]


def test_where_there_are_no_tags_the_page_ends_after_the_facts(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", [], None)
    lines = page("pool.jsonl", folder=tmp_path)
    assert line(lines, "diversity") == ["no", "tags"]
    assert lines[-1].startswith("vocabulary")


def test_json_is_one_document(tmp_path: Path) -> None:
    source = write(tmp_path / "pool.jsonl", ["poetry", "song"], ["poetry"], column="labels")
    result = instag("measure", source, source, "--tags", "labels", "--json")
    assert result.stderr == ""
    first, second = json.loads(result.stdout)
    assert first == second
    assert (first["input"], first["complexity"], first["tags_per_query"]) == (source, 1.5, {"1": 1, "2": 1})
    assert first["tags"][0] == {"tag": "poetry", "rows": 2}
    assert first["pairs"] == [{"first": "song", "second": "poetry", "rows": 1, "confidence": 1.0, "lift": 1.0}]


def test_the_summary_of_a_selection_compares_it_with_the_pool(tmp_path: Path) -> None:
    source = write(tmp_path / "pool.jsonl", ["a"], ["a", "b", "c"], ["d"], [])
    result = instag("select", source, tmp_path / "out", "-n", 2)
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "2 rows from 2 of 4 input rows" in said
    assert "mean complexity 2.0000, pool complexity 1.2500, coverage 1.0000" in said
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["r-1", "r-2"]
    assert "nothing to do" in instag("select", source, tmp_path / "out", "-n", 2).stderr


def test_a_pool_that_is_too_small_is_told_with_what_is_missing(tmp_path: Path) -> None:
    source = write(tmp_path / "pool.jsonl", ["a"], [], ["b"])
    result = instag("select", source, tmp_path / "out", "-n", 10, "--by", "random")
    assert result.exit_code == 0
    assert "8 fewer rows than -n 10: every row that has tags was selected" in result.stderr


def test_another_seed_draws_other_rows_and_does_not_take_the_first_ones_for_its_own(tmp_path: Path) -> None:
    source = write(tmp_path / "pool.jsonl", *([["a"]] * 100))
    command = ("select", source, tmp_path / "out", "-n", 10, "--by", "random")
    instag(*command)
    first = rows_of(tmp_path / "out")
    assert "seed was 0 and is now 1" in str(instag(*command, "--seed", 1).exception)
    assert instag(*command, "--seed", 1, "--fresh").exit_code == 0
    assert rows_of(tmp_path / "out") != first


@pytest.mark.parametrize("command", [["measure"], ["select", "-n", "1"]])
def test_a_column_that_is_not_there_is_named_with_what_is(tmp_path: Path, command: list[str]) -> None:
    source = write(tmp_path / "pool.jsonl", ["a"], column="labels")
    outputs = [tmp_path / "out"] if command[0] == "select" else []
    result = instag(command[0], source, *outputs, *command[1:])
    assert isinstance(result.exception, InputError)
    assert "--tags NAME (labels could be read)" in str(result.exception)
