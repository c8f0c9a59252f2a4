"""The record type of an input that is taken as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from schemas.errors import InputError
from schemas.inference import infer_record
from schemas.inputs import locate
from schemas.records import ROW
from schemas.sources import Source


def lines(*rows: Mapping[str, Any]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The rows of an input as its inferred record."""
    record = infer_record(locate(str(path)), ROW, columns or {})
    rows: list[dict[str, Any]] = (
        Source(str(path), record, columns or {}, None).table(path.parent / "scratch").to_pylist()
    )
    return rows


def test_an_inferred_record_keeps_every_column(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"n": 1, "x": 1, "mixed": 3, "flag": None, "many": [], "deep": {"a": 1}},
        {"n": 2, "x": 0.5, "mixed": "half", "flag": True, "many": ["t"], "deep": {"b": [{"c": None}]}, "late": "!"},
    ]
    (tmp_path / "rows.jsonl").write_bytes(lines(*rows))
    record = infer_record(locate(str(tmp_path / "rows.jsonl")), ROW, {"number": "n"})
    assert {column.name: str(column.type) for column in record.columns} == {
        "id": "string",
        "number": "int64",
        "x": "double",
        "mixed": "string",
        "flag": "bool",
        "many": "list<item: string>",
        "deep": "struct<a: int64, b: list<item: struct<c: null>>>",
        "late": "string",
    }
    first, second = read(tmp_path / "rows.jsonl", {"number": "n"})
    assert (first["id"], first["number"], first["mixed"], first["late"]) == ("rows-0", 1, "3", None)
    assert (second["deep"], second["late"]) == ({"a": None, "b": [{"c": None}]}, "!")


def test_columns_of_typed_files_keep_their_types_where_rows_do_not_tell_them(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array(["a"], pa.large_string()), "kind": pa.array(["k"]).dictionary_encode(), "n": [1]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    record = infer_record(locate(str(tmp_path / "rows.parquet")), ROW, {})
    assert [str(column.type) for column in record.columns] == ["string", "string", "int64"]
    assert read(tmp_path / "rows.parquet") == [{"id": "a", "kind": "k", "n": 1}]


def test_a_column_of_several_kinds_is_refused_with_a_place_for_each(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines({"v": None}, {"v": "text"}, {"v": ["list"]}))
    with pytest.raises(
        InputError, match=r"v is text in .*rows.jsonl:2 and a list in .*rows.jsonl:3: a column holds one"
    ):
        infer_record(locate(str(path)), ROW, {})
    path.write_bytes(lines({"v": [1]}, {"v": ["a"]}))
    with pytest.raises(InputError, match=r"v is a list in .*rows.jsonl:2, where list<item: int64> is needed"):
        read(path)


def test_names_for_an_inferred_record_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines({"question": "q", "answer": "a"}))
    source = locate(str(tmp_path / "rows.jsonl"))
    with pytest.raises(InputError, match="has no column body, only question, answer"):
        infer_record(source, ROW, {"text": "body"})
    with pytest.raises(InputError, match="has a column answer already"):
        infer_record(source, ROW, {"answer": "question"})
