"""Open records: every column of an input, as it is."""

from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from synth.schemas.errors import InputError
from synth.schemas.reading.joining import concatenated, unify_columns
from synth.schemas.reading.sources import Source
from synth.schemas.record import Column, Record
from synth.schemas.records import ROW
from synth.schemas.records.shared import ID
from tests.rows import write_rows

ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": "x", "n": 1, "nested": {"list": [1, 2], "none": None}},
    {"id": "b", "text": None, "n": None, "nested": None},
]


def source(path: Path, rows: list[dict[str, Any]], **columns: str) -> Source:
    write_rows(path, rows)
    return Source(str(path), ROW, columns, None)


def test_every_column_is_read_with_the_type_that_its_values_have(tmp_path: Path) -> None:
    table = source(tmp_path / "rows.jsonl", ROWS).table(tmp_path / "scratch")
    assert table.to_pylist() == ROWS
    assert table.schema.field("n").type == pa.int64()


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "directory"])
def test_other_formats_are_read_alike(tmp_path: Path, name: str) -> None:
    rows = [{"id": "a", "text": "x", "n": "1"}, {"id": "b", "text": "", "n": "2"}]
    table = pa.Table.from_pylist(rows)
    if name == "directory":
        datasets.Dataset(table).save_to_disk(tmp_path / name)
    else:
        (csv.write_csv if name.endswith("csv") else parquet.write_table)(table, tmp_path / name)
    assert Source(str(tmp_path / name), ROW, {}, None).table(tmp_path / "scratch").to_pylist() == rows


def test_a_dataset_directory_with_ids_is_used_in_place(tmp_path: Path) -> None:
    datasets.Dataset(pa.Table.from_pylist(ROWS)).save_to_disk(tmp_path / "in")
    table = Source(str(tmp_path / "in"), ROW, {}, 1).table(tmp_path / "scratch")
    assert table.to_pylist() == ROWS[:1]
    assert not (tmp_path / "scratch").exists()


def test_columns_are_renamed_and_ids_made(tmp_path: Path) -> None:
    rows = [{"key": 7, "body": "x"}, {"key": 8, "body": "y", "more": True}]
    table = source(tmp_path / "rows.jsonl", rows, id="key", text="body").table(tmp_path / "scratch")
    assert table.to_pylist() == [{"id": "7", "text": "x", "more": None}, {"id": "8", "text": "y", "more": True}]
    table = source(tmp_path / "rows.jsonl", rows).table(tmp_path / "scratch")
    assert table["id"].to_pylist() == ["rows-0", "rows-1"]
    with pytest.raises(InputError, match=r"--column id=no: .* has no column no, only key, body, more"):
        source(tmp_path / "rows.jsonl", rows, id="no").table(tmp_path / "scratch")


TASK = Record("task", "", (ID, Column("instruction", pa.string(), "", aliases=("prompt", "query"))), open=True)


def test_columns_of_the_record_are_found_by_their_aliases_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(orjson.dumps({"kind": "about", "query": "x"}))
    assert Source(str(path), TASK, {}, None).table(tmp_path / "scratch").to_pylist() == [
        {"id": "rows-0", "instruction": "x", "kind": "about"}
    ]
    path.write_bytes(orjson.dumps({"kind": "about", "query": "x", "instruction": "y"}))
    assert Source(str(path), TASK, {}, None).table(tmp_path / "scratch-2").to_pylist() == [
        {"id": "rows-0", "instruction": "y", "kind": "about", "query": "x"}
    ]
    path.write_bytes(orjson.dumps({"kind": "about"}))
    with pytest.raises(InputError, match="has no column instruction or prompt or query, only kind"):
        Source(str(path), TASK, {}, None).table(tmp_path / "scratch-3")


def test_the_tables_of_several_inputs_become_one(tmp_path: Path) -> None:
    sources = [
        source(tmp_path / "one.jsonl", [{"id": "a", "n": 1, "x": None}]),
        source(tmp_path / "two.jsonl", [{"id": "b", "n": 0.5, "y": ["z"]}, {"id": "c", "x": "w"}]),
    ]
    readings = [each.read(tmp_path / f"scratch-{number}") for number, each in enumerate(sources)]
    assert concatenated(sources, readings, tmp_path).table.to_pylist() == [
        {"id": "a", "n": 1.0, "x": None, "y": None},
        {"id": "b", "n": 0.5, "x": None, "y": ["z"]},
        {"id": "c", "n": None, "x": "w", "y": None},
    ]
    assert concatenated(sources[:1], readings[:1], tmp_path) is readings[0]


def test_inputs_whose_columns_have_no_type_in_common_agree_on_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [
        source(tmp_path / "one.jsonl", [{"id": "a", "n": 1, "m": {"x": 1}}]),
        source(tmp_path / "two.jsonl", [{"id": "b", "n": "many", "m": ["y"]}]),
    ]
    unify_columns(sources)
    readings = [each.read(tmp_path / f"scratch-{number}") for number, each in enumerate(sources)]
    assert concatenated(sources, readings, tmp_path).table.to_pylist() == [
        {"id": "a", "n": "1", "m": '{"x":1}'},
        {"id": "b", "n": "many", "m": '["y"]'},
    ]
    assert f"n is int64 in {tmp_path}/one.jsonl and string in {tmp_path}/two.jsonl" in caplog.text


def test_inputs_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    one = source(tmp_path / "one.jsonl", [{"id": "a", "n": 1}])
    two = source(tmp_path / "two.jsonl", [{"id": "z"}, {"id": "a", "n": 2}])
    readings = [each.read(tmp_path / f"scratch-{number}") for number, each in enumerate((one, two))]
    with pytest.raises(InputError, match=r"id 'a' stands in .*one.jsonl:1 and again in .*two.jsonl:2: ids must be uni"):
        concatenated([one, two], readings, tmp_path)
    parquet.write_table(pa.table({"id": ["b"], "n": [b"bytes"]}), tmp_path / "two.parquet")
    with pytest.raises(InputError, match=r"two.parquet does not fit the inputs before it: n is int64 in .*one"):
        unify_columns([one, Source(str(tmp_path / "two.parquet"), ROW, {}, None)])
