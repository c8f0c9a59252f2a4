"""The record type of an input that is taken as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from synth.schemas.errors import InputError
from synth.schemas.reading.inference import infer_record
from synth.schemas.reading.inputs import locate
from synth.schemas.reading.sources import Source
from synth.schemas.records import ROW


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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None, "text", ["list"]], "v is text in {}:2 and a list in {}:3"),
        ([True, 1], "v is true or false in {}:1 and a number in {}:2"),
        ([[1], ["a"]], "v[] is a number in {}:1 and text in {}:2"),
        ([{"score": 1}, {"score": 2}, {"score": "N/A"}], "v.score is a number in {}:1 and text in {}:3"),
        ([{"score": 0.5}, {"score": False}], "v.score is a number in {}:1 and true or false in {}:2"),
        ([{"n": 2**53 + 1}, {"n": 1}, {"n": 0.5}], "v.n is 9007199254740993 in {}:1 and 0.5 in {}:3"),
        ([[{"a": [{"b": 1}]}], [{"a": [{"b": {}}]}]], "v[].a[].b is a number in {}:1 and an object in {}:2"),
    ],
)
def test_a_column_of_several_kinds_is_read_as_json_text_and_says_why(
    tmp_path: Path, values: list[Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(*({"v": value} for value in values)))
    texts = [row["v"] for row in read(path)]
    assert [text if text is None else orjson.loads(text) for text in texts] == values
    (warning,) = caplog.messages
    assert warning == f"{said.format(path, path)}: the column v is read as JSON text"


def test_the_kinds_of_several_files_are_told_apart_by_their_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"v": {"n": 1}}))
    (tmp_path / "b.jsonl").write_bytes(lines({"v": {"n": []}}))
    assert [row["v"] for row in read(tmp_path / "*.jsonl")] == ['{"n":1}', '{"n":[]}']
    assert f"v.n is a number in {tmp_path}/a.jsonl:1 and a list in {tmp_path}/b.jsonl:1" in caplog.text
    parquet.write_table(pa.table({"v": [1]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"v": [{"n": True}]}), tmp_path / "b.parquet")
    assert [row["v"] for row in read(tmp_path / "*.parquet")] == ["1", '{"n":true}']
    parquet.write_table(pa.table({"v": [b"bytes"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"v is int64 in .*a.parquet and binary in .*b.parquet: convert one"):
        read(tmp_path / "*.parquet")


@pytest.mark.parametrize(
    "numbers",
    [
        ["12345678901234567890123"],
        ["9223372036854775807", "9223372036854775808"],
        ["-9223372036854775809"],
        ["9007199254740993", "0.5"],
        ["0.1234567890123456789"],
        ["1e400"],
        ["-2.5e-400", "1"],
        ["3.00000000000000000001"],
    ],
)
def test_numbers_that_64_bits_do_not_hold_keep_their_digits_as_text(
    tmp_path: Path, numbers: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"v": {number}, "deep": [{number}]}}\n' for number in numbers))
    rows = read(path)
    assert [row["v"] for row in rows] == numbers
    assert [row["deep"] for row in rows] == [f"[{number}]" for number in numbers]
    assert "the column v is read as text" in caplog.text
    assert "the column deep is read as JSON text" in caplog.text


@pytest.mark.parametrize("number", ["-0.0", "1e22", "0.30000000000000004", "0.299999999999999989", "5e-324", "1.50"])
def test_numbers_that_float64_holds_stay_numbers(tmp_path: Path, number: str) -> None:
    (tmp_path / "rows.jsonl").write_text(f'{{"v": {number}}}\n')
    (row,) = read(tmp_path / "rows.jsonl")
    assert repr(row["v"]) == repr(float(number))


def test_names_for_an_inferred_record_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines({"question": "q", "answer": "a"}))
    source = locate(str(tmp_path / "rows.jsonl"))
    with pytest.raises(InputError, match="has no column body, only question, answer"):
        infer_record(source, ROW, {"text": "body"})
    with pytest.raises(InputError, match="has a column answer already"):
        infer_record(source, ROW, {"answer": "question"})
