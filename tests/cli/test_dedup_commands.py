"""`synth dedup` and `synth decontaminate`, also as commands of `synth query-of-cc`."""

import re
from pathlib import Path

import pytest

from synth.cli import progress
from synth.schemas.errors import InputError, UsageError
from tests.command import invoke
from tests.rows import rows_of, write_rows

PREFIXES: list[list[str]] = [[], ["query-of-cc"]]
ITEM = "Which of the two trains that leave the city at noon will be the first to arrive at the coast?"


def write(path: Path, *texts: str) -> Path:
    return write_rows(path, ({"content": text, "n": n} for n, text in enumerate(texts)))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_doubles_of_several_inputs_are_removed(tmp_path: Path, prefix: list[str]) -> None:
    sources = [write(tmp_path / "one.jsonl", "a text", ITEM), write(tmp_path / "two.jsonl", "a  text", f"{ITEM} And?")]
    result = invoke(*prefix, "dedup", *sources, tmp_path / "out")
    assert result.exit_code == 0
    assert "out: 2 rows from 2 of 4 input rows" in result.stderr
    assert "rejected: 2 (exact_duplicate 1, near_duplicate 1)" in result.stderr
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["one-0", "one-1"]
    again = invoke(*prefix, "dedup", *sources, tmp_path / "out")
    assert "nothing to do" in again.stderr


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_evaluation_sets_hold_is_removed(tmp_path: Path, prefix: list[str]) -> None:
    source, other = write(tmp_path / "rows.jsonl", "a text", f"Read this: {ITEM}"), write(tmp_path / "other.jsonl", "x")
    evaluation = write(tmp_path / "eval.jsonl", ITEM)
    command = [*prefix, "decontaminate", source, tmp_path / "out", "--against", evaluation]
    result = invoke(*command, "--against", other, "--text", "content")
    assert result.exit_code == 0
    assert "rejected: 1 (contaminated 1)" in result.stderr
    assert "in eval 1" in result.stderr
    (row,) = rows_of(tmp_path / "out" / "rejected")
    assert row["detail"].startswith("eval, eval-0: which of the two trains")


def test_progress_is_shown_from_the_first_pass_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0.0)
    monkeypatch.setattr("synth.pipelines.runtime.progress.OBSERVE_SECONDS", 0.0)
    source = write(tmp_path / "rows.jsonl", "one text", "another text")
    said = invoke("dedup", source, tmp_path / "out").stderr.splitlines()
    assert said[0] == f"dedup: reading {source}"
    assert said[1:3] == ["dedup: 0/2 rows, 0.0 rows/s", "dedup: 2/2 rows, first pass"]
    assert re.fullmatch(r"dedup: 2/2 rows, [\d,.]+ rows/s, 100% accepted", said[3])


def test_without_an_evaluation_set_there_is_nothing_to_do(tmp_path: Path) -> None:
    result = invoke("decontaminate", write(tmp_path / "rows.jsonl", "x"), tmp_path / "out")
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "--against is missing: an evaluation set, any input. Repeatable"


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["none"], InputError, "none does not exist"),
        (["rows.jsonl", "--text", "n"], InputError, "--text n: the input has no column n with text"),
        (["rows.jsonl", "--column", "id=no"], InputError, "--column id=no: .* has no column no, only content, n"),
        (["rows.jsonl", "--column", "id=n", "--column", "text=content", "--text", "content"], InputError, "only text"),
        (["rows.jsonl", "rows.jsonl"], InputError, "id 'rows-0' stands in .* and again in"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kind: type[Exception], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.jsonl", "x", "y")
    (tmp_path / "theirs").mkdir()
    inputs = [argument for argument in arguments if argument.endswith(("none", ".jsonl"))]
    with pytest.raises(kind, match=said):
        raise invoke("dedup", *inputs, "out", *arguments[len(inputs) :]).exception or AssertionError
    with pytest.raises(UsageError, match="not a directory that synth wrote"):
        raise invoke("dedup", "rows.jsonl", "theirs").exception or AssertionError
