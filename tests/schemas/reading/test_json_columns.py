"""Lines of JSON that are read as columns: the values of each line, to the last digit, or no columns at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.schemas.errors import InputError
from synth.schemas.inspecting.statistics import statistics
from synth.schemas.reading.formats import read
from synth.schemas.reading.formats.exact import BadJSON, Number, parse
from synth.schemas.reading.formats.json_columns import columns_in, types_of
from synth.schemas.reading.inputs import locate
from synth.schemas.reading.sources import Source
from synth.schemas.records import ROW

INTEGER, FRACTION, TEXT = pa.schema([("a", pa.int64())]), pa.schema([("a", pa.float64())]), pa.schema([("a", "string")])
TOKENS = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(
        ["null", "-0", "-0.0", "1e5", "1E+5", "0.1000", "9007199254740993", "1e999", "NaN", "Infinity", "1."]
    ),
    st.sampled_from(
        ['"x"', '"a\\u00e9\\n"', '"\\ud83d\\ude00"', '"\\ud83d"', "true", "[1]", '{"a":1}', '"2020-01-01"']
    ),
)
ROWS = st.lists(st.lists(st.tuples(st.sampled_from("abc"), TOKENS), max_size=3), min_size=1, max_size=5)
EXAMPLES = st.sampled_from(
    [
        '{"a":1,"b":0.5,"c":"x"}',
        '{"a":null,"b":1.5,"c":2.5}',
        '{"a":1}',
        '{"b":0.5}',
        '{"a":[1],"b":{"a":1}}',
        '{"c":true}',
    ]
)
# Each is longer than a block of the reader.
BLOCK = 3 << 20


@pytest.mark.parametrize(
    ("text", "types"),
    [
        (b'{"a":1} {"a":2}\n', INTEGER),
        (b'{"a":\n1}\n', INTEGER),
        (b'{"a":1} {"a":\n2}\n', INTEGER),
        (b'{"a":1}\n\n{"a":2}\n', INTEGER),
        (b'{"a":1}\r\n{"a":2}\r\n', INTEGER),
        (b'{"a":1}\n{}\n', INTEGER),
        (b'{"a":1,"a":2}\n', INTEGER),
        (b'{"a":1,"\\u0061":2}\n', INTEGER),
        (b'{"a":1,"b":2}\n', INTEGER),
        (b'{"a":1.0}\n', INTEGER),
        (b'{"a":9223372036854775808}\n', INTEGER),
        (b'{"a":"1"}\n', INTEGER),
        (b'{"a":true}\n', INTEGER),
        (b'{"a":0.12345678901234567890}\n', FRACTION),
        (b'{"a":9007199254740993}\n', FRACTION),
        (b'{"a":-0}\n', FRACTION),
        (b'{"a":NaN}\n', FRACTION),
        (b'{"a":-Infinity}\n', FRACTION),
        (b'{"a":1e-999}\n', FRACTION),
        (b'{"a":1' + b"0" * 400 + b"}\n", FRACTION),
        (b'{"a":1}\n', TEXT),
        (b'{"a":"caf\xe9"}\n', TEXT),
        (b'{"a":"\\ud800"}\n', TEXT),
        (b'{"a":"x\ty"}\n', TEXT),
        (b'{"a":"x"}\x00\n', TEXT),
        (b'[{"a":"x"}]\n', TEXT),
    ],
)
def test_what_pyarrow_would_change_or_let_pass_is_left_alone(text: bytes, types: pa.Schema) -> None:
    assert columns_in(text, types) is None


def test_a_null_that_is_written_is_told_from_a_key_that_is_missing() -> None:
    types = types_of([{"a": 1, "b": "x"}])
    assert types is not None
    assert columns_in(b'{"a":1,"b":null}\n{"a":2,"b":"a"}\n', types) is not None
    # The key is there twice, but inside another value, or as the end of another key.
    nested = pa.schema([("b", pa.string()), ("c", pa.struct([("b", pa.string())]))])
    assert columns_in(b'{"b":null,"c":{"b":null}}\n{"c":null}\n', nested) is None
    quoted = pa.schema([("b", pa.int64()), ('x"b', pa.int64())])
    assert columns_in(b'{"b":null,"x\\"b":1}\n{"x\\"b":1}\n', quoted) is None


@settings(deadline=None, max_examples=400)
@given(EXAMPLES, ROWS)
def test_columns_have_the_values_of_each_line(example: str, rows: list[list[tuple[str, str]]]) -> None:
    types = types_of([parse(example.encode())])
    assert types is not None
    lines = [b"{" + ",".join([f'"{name}":{token}' for name, token in row]).encode() + b"}" for row in rows]
    columns = columns_in(b"\n".join([example.encode(), *lines]), types)
    if columns is None:
        return
    read_by_line = [parse(line) for line in [example.encode(), *lines]]
    for read_at_once, by_line in zip(columns.to_pylist(), read_by_line, strict=True):
        assert read_at_once == by_line
        assert by_line.keys() == {*types.names}
        for name, value in by_line.items():
            assert not isinstance(value, Number)
            assert type(value) in (type(read_at_once[name]), *([int] if types.field(name).type == pa.float64() else []))
            # Zero has a sign.
            assert type(value) is not float or repr(value) == repr(read_at_once[name])


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["1", "0.5", '"x"', "null"]), st.lists(TOKENS, min_size=1, max_size=3))
def test_every_token_is_read_as_the_exact_parser_reads_it(example: str, tokens: list[str]) -> None:
    lines = [f'{{"a": {token}}}'.encode() for token in (example, *tokens)]
    types = types_of([parse(lines[0])])
    assert types is not None
    columns = columns_in(b"\n".join(lines) + b"\n", types)
    if columns is not None:
        try:
            assert columns.to_pylist() == list(map(parse, lines))
        except BadJSON as error:
            pytest.fail(f"columns were made of {lines}: {error}")


def padded(row: dict[str, Any]) -> bytes:
    return orjson.dumps({**row, "text": "x" * 2000}) + b"\n"


def test_alike_lines_are_columns_and_others_are_rows(tmp_path: Path) -> None:
    alike = b"".join(padded({"id": f"r{number}", "n": number / 7}) for number in range(3 * BLOCK // 2000))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(alike + padded({"id": "last"}) + b"[]\n")
    batches = list(read(path, lenient=True))
    kinds = [type(batch.rows) for batch in batches]
    assert kinds == [list, *[pa.RecordBatch] * (len(kinds) - 2), list]
    assert len(kinds) > 3
    lines = path.read_bytes().splitlines()
    for batch in batches:
        for index in (0, len(batch) - 1):
            number = batch.lines[index] if batch.lines else 0
            assert batch.row(index) == orjson.loads(lines[number - 1])
            assert batch.place(index) == f"{path}:{number}"
    assert [bad.index for bad in batches[-1].bad] == [len(lines) - 1]


CHANGES: dict[str, Callable[[int], dict[str, Any]]] = {
    "fractions after whole numbers": lambda number: {"n": number + 0.5},
    "text after numbers": lambda number: {"n": str(number)},
    "numbers beyond 64 bits": lambda number: {"n": 2**70 + number},
    "another column": lambda number: {"n": number, "m": number},
    "a column less": lambda number: {"other": number},
    "nulls": lambda _: {"n": None},
    "lists": lambda number: {"n": [number]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_on_the_way_keeps_every_value(tmp_path: Path, change: str) -> None:
    count = 2 * BLOCK // 2000
    rows = [{"id": f"a{n}", "n": n} for n in range(count)]
    rows += [{"id": f"b{n}", **CHANGES[change](n)} for n in range(count)]
    rows += [{"id": f"c{n}", "n": n} for n in range(count)]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps({**row, "text": "x" * 2000}).encode() + b"\n" for row in rows))
    table = Source(str(path), ROW, {}, None).table(tmp_path / "scratch")
    kind = table.schema.field("n").type
    for row, found in zip(rows, table.drop_columns("text").to_pylist(), strict=True):
        expected = row.get("n")
        if pa.types.is_string(kind) and expected is not None and not isinstance(expected, str):
            expected = json.dumps(expected)
        assert {name: value for name, value in found.items() if name not in ("n", "other", "m")} == {"id": row["id"]}
        assert found["n"] == expected
        assert all(found[name] == row.get(name) for name in ("other", "m") if name in found)


def test_a_row_beyond_the_first_ones_may_have_any_types_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    alike = [padded({"id": f"r{number}", "n": number}) for number in range(BLOCK // 2000)]
    path.write_bytes(b"".join([*alike, padded({"id": "late", "n": 0.5, "m": [1]})]))
    table = Source(str(path), ROW, {"o": "m"}, None).table(tmp_path / "scratch")
    assert table.schema.names == ["id", "n", "text", "o"]
    assert table.schema.field("n").type == pa.float64()
    assert table.slice(len(alike)).to_pylist() == [{"id": "late", "n": 0.5, "text": "x" * 2000, "o": [1]}]


def test_a_column_that_lacks_in_later_rows_is_missing_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    alike = [padded({"key": f"r{number}", "query": "q"}) for number in range(BLOCK // 2000)]
    path.write_bytes(b"".join([*alike, *[padded({"query": "q"})] * (BLOCK // 2000)]))
    with pytest.raises(InputError, match=rf"rows.jsonl:{len(alike) + 1} has no column key, only query, text"):
        Source(str(path), ROW, {"id": "key"}, None).table(tmp_path / "scratch")


def test_statistics_of_a_column_that_is_null_at_first(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [*[{"n": None}] * (2 * BLOCK // 2000), *[{"n": 2}, {"n": 3}] * (BLOCK // 2000)]
    path.write_bytes(b"".join(map(padded, rows)))
    column, _ = statistics(locate(str(path))).columns
    assert (column.type, column.nulls, column.distinct) == ("int64", 2 * BLOCK // 2000, 2)


def test_a_bad_line_beyond_the_first_ones_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    alike = [padded({"id": f"r{number}", "n": number}) for number in range(BLOCK // 2000)]
    path.write_bytes(b"".join([*alike, b'{"id": "x", "n": 1, "n": 2, "text": ""}\n']))
    with pytest.raises(InputError, match=rf"rows.jsonl:{len(alike) + 1} has the key 'n' twice in one object"):
        Source(str(path), ROW, {}, None).table(tmp_path / "scratch")
    reading = Source(str(path), ROW, {}, None, rejects=True).read(tmp_path / "scratch")
    assert (reading.table.num_rows, reading.bad["number"].to_pylist()) == (len(alike), [len(alike)])
