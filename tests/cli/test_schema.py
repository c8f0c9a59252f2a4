"""`synth schema`: record types and the columns of data."""

from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from synth.cli.main import app
from synth.schemas.errors import InputError
from synth.schemas.records import QUERY, RECORDS


def schema(*arguments: str | Path) -> Result:
    # A path may be longer than a line.
    wide = {"COLUMNS": "200"} if any(isinstance(argument, Path) for argument in arguments) else {}
    return CliRunner(env=wide).invoke(app, ["schema", *map(str, arguments)])


def test_record_types_are_listed_with_what_they_are() -> None:
    text = " ".join(schema().stdout.split())
    for record in RECORDS:
        assert f"{record.name} {record.doc}" in text


@pytest.mark.parametrize("name", [record.name for record in RECORDS])
def test_every_record_type_shows_its_columns_within_80_columns(name: str) -> None:
    record = next(record for record in RECORDS if record.name == name)
    lines = schema(name).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    for column in record.columns:
        assert any(line.split()[:2] == [column.name, str(column.type).split()[0]] for line in lines)
    # Beside a long type, words of it stand between those of the text.
    told = iter(" ".join(lines).split())
    assert all(word in told for word in record.columns[-1].doc.split())


def test_a_dataset_shows_its_rows_and_the_docs_of_its_columns(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"id": "a", "query": "?"}]).save_to_disk(tmp_path / "queries")
    lines = schema(tmp_path / "queries").stdout.splitlines()
    assert lines[0] == f"{tmp_path}/queries  1 row"
    assert any(line.split() == ["query", "string", *QUERY.columns[1].doc.split()] for line in lines)
    datasets.Dataset(pa.table({"id": ["a"], "tags": [["x"]]})).save_to_disk(tmp_path / "other")
    assert any(line.split()[:2] == ["tags", "list<item:"] for line in schema(tmp_path / "other").stdout.splitlines())


def test_a_file_shows_the_columns_that_its_rows_have(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 0.5, "[b]": "x"}\n')
    lines = schema(tmp_path / "rows.jsonl").stdout.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["n", "double"], ["[b]", "string"]]


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="qestion does not exist, and no record type has that name, only question"):
        raise schema("qestion").exception or AssertionError
    with pytest.raises(InputError, match=r"none.jsonl does not exist$"):
        raise schema("none.jsonl").exception or AssertionError
