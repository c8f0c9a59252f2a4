"""Values of every type through files and back: the same, or refused by the name of their column."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from synth.schemas.plain import plain_values
from synth.schemas.shards import ShardWriter
from synth.schemas.writing import shapes
from synth.schemas.writing.export import write
from synth.schemas.writing.publication import OutputClaim
from synth.schemas.writing.shapes import shaped

some = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
few = settings(some, max_examples=15)

TEXT = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\",;'\\\n\r\t\0\u2028\u2029\x85\ufeff{[é😀 ")),
    max_size=12,
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)


def float_of(code: str) -> st.SearchStrategy[float]:
    width = {"e": 16, "f": 32, "d": 64}[code]
    return st.floats(width=width)  # type: ignore[arg-type]


LEAVES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.null(): st.none(),
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float16(): float_of("e"),
    pa.float32(): float_of("f"),
    pa.float64(): float_of("d"),
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.string_view(): TEXT,
    pa.dictionary(pa.int8(), pa.string()): TEXT,
    pa.decimal128(30, 4): st.decimals(-(10**20), 10**20, places=4),
    pa.decimal256(60, 2): st.integers(-(10**50), 10**50).map(lambda cents: Decimal(f"{cents}e-2")),
    pa.date32(): st.dates(),
    pa.time32("s"): st.times().map(lambda t: t.replace(microsecond=0)),
    pa.time64("us"): st.times(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("s", "Asia/Tokyo"): st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1)).map(
        lambda t: t.replace(microsecond=0, tzinfo=UTC)
    ),
    pa.duration("s"): st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(lambda t: timedelta(seconds=t.seconds)),
    pa.binary(): st.binary(max_size=5),
    pa.large_binary(): st.binary(max_size=5),
    # A null of JSON's own is a null.
    pa.json_(): JSON.filter(lambda value: value is not None).map(json.dumps),
}


def is_refused(value: Any, kind: pa.DataType, form: str) -> bool:
    """Whether JSON or CSV have no form for it, looked at value by value."""
    if value is None:
        return False
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return any(is_refused(item, kind.value_type, "jsonl") for item in value)
    if pa.types.is_struct(kind):
        return any(is_refused(value[field.name], field.type, "jsonl") for field in kind)
    if pa.types.is_floating(kind):
        return form == "jsonl" and not math.isfinite(value)
    return isinstance(value, bytes | timedelta)


def read(found: Any, value: Any, kind: pa.DataType) -> Any:
    """What was found in a file of JSON as the type of what was written there."""
    if value is None or found is None:
        return found
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [read(*both, kind.value_type) for both in zip(found, value, strict=True)]
    if pa.types.is_struct(kind):
        assert list(found) == list(value)
        return {name: read(found[name], value[name], kind.field(name).type) for name in value}
    if isinstance(kind, pa.JsonType):
        return json.dumps(found)
    if pa.types.is_floating(kind):
        # Not a digit more than the type needs.
        if not pa.types.is_float64(kind):
            assert repr(found) == repr(float(str(kind.to_pandas_dtype()(value))))
        return kind.to_pandas_dtype()(found)
    if pa.types.is_decimal(kind):
        return Decimal(found)
    for python in (datetime, date, time):
        if type(value) is python:
            return python.fromisoformat(found)
    return found


@st.composite
def kinds(draw: st.DrawFn) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(list(LEAVES)))
    values: st.SearchStrategy[Any] = st.one_of(st.none(), LEAVES[kind])
    for _ in range(draw(st.integers(0, 2))):
        match draw(st.sampled_from(["list", "large", "fixed", "struct"])):
            case "list":
                kind, values = pa.list_(kind), st.one_of(st.none(), st.lists(values, max_size=3))
            case "large":
                kind, values = pa.large_list(kind), st.one_of(st.none(), st.lists(values, max_size=3))
            case "fixed":
                kind, values = pa.list_(kind, 2), st.one_of(st.none(), st.lists(values, min_size=2, max_size=2))
            case "struct":
                kind = pa.struct([("a", kind), ('b,"', pa.int8())])
                pair = st.fixed_dictionaries({"a": values, 'b,"': st.one_of(st.none(), st.integers(-9, 9))})
                values = st.one_of(st.none(), pair)
    return kind, values


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 4))
    columns = {}
    for name in ("one", 'the "other"'):
        kind, values = draw(kinds())
        columns[name] = array_of(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    return pa.table({"id": pa.array([f"r{i}" for i in range(rows)]), **columns})


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid):
        # Of JSON, and of floats of 16 bits, Arrow makes no nested values.
        return pa.array(values, stored(kind)).cast(kind)


def stored(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.JsonType):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(stored(kind.value_type), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(stored(kind.value_type))
    if pa.types.is_list(kind):
        return pa.list_(stored(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, stored(field.type)) for field in kind])
    return kind


def published(folder: Path, table: pa.Table) -> Dataset:
    claim = OutputClaim.open(folder, {"stage": "test"}, remake="fresh")
    assert claim
    writer = ShardWriter(claim.layout.shards / "0.arrow", table.schema)
    writer.write(table)
    claim.publish([writer.close()], [], {})
    claim.close()
    return Dataset.open(folder)


@pytest.fixture(autouse=True)
def rows_are_written_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "ROWS_AT_ONCE", 2)


def exported(dataset: Dataset, form: str) -> bytes:
    sink = BytesIO()
    schema, tables = shaped(dataset, "rows")
    write(sink, "", form, schema, tables, dataset.path)
    return sink.getvalue()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float | np.floating) and isinstance(other, float | np.floating):
        return one == other or (one != one and other != other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def refused(table: pa.Table, form: str) -> dict[str, int]:
    """The columns that are to be refused, each with its first such row."""
    found = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        rows = [row for row, value in enumerate(table[name].to_pylist()) if is_refused(value, kind, form)]
        found.update({name: rows[0]} if rows else {})
    return found


@some
@given(tables())
def test_random_values_come_back_from_jsonl_or_are_refused_by_name(tmp_path: Path, table: pa.Table) -> None:
    dataset = published(tmp_path / "rows", table)
    if bad := refused(table, "jsonl"):
        with pytest.raises(InputError) as error:
            exported(dataset, "jsonl")
        assert any(
            f"{name} is " in str(error.value) and f" in row {row + 1} of " in str(error.value)
            for name, row in bad.items()
        )
        assert "--format parquet" in str(error.value)
        return
    lines = exported(dataset, "jsonl").split(b"\n")
    assert lines.pop() == b""
    for line, row in zip(lines, table.to_pylist(), strict=True):
        found = json.loads(line)
        assert list(found) == list(row)
        for field in table.schema:
            assert same(read(found[field.name], row[field.name], field.type), row[field.name])


@some
@given(tables())
def test_each_line_is_what_orjson_writes_of_a_row(tmp_path: Path, table: pa.Table) -> None:
    if refused(table, "jsonl"):
        return
    columns = [plain_values(table, name, str, advice="") for name in table.column_names]
    rows = [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]
    lines = exported(published(tmp_path / "rows", table), "jsonl")
    assert lines == b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


@some
@given(tables())
def test_random_values_come_back_from_csv_or_are_refused_by_name(tmp_path: Path, table: pa.Table) -> None:
    dataset = published(tmp_path / "rows", table)
    if refused(table, "csv"):
        with pytest.raises(InputError, match=r" is .* in row \d of .*: write Parquet"):
            exported(dataset, "csv")
        return
    nulls = csv.ConvertOptions(
        column_types=dict.fromkeys(table.column_names, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=False,
    )
    found = csv.read_csv(
        BytesIO(exported(dataset, "csv")),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=nulls,
    )
    assert found.column_names == table.column_names
    for field in table.schema:
        is_text = any(same_kind(field.type) for same_kind in (pa.types.is_string, pa.types.is_large_string)) or (
            pa.types.is_dictionary(field.type) or field.type == pa.string_view()
        )
        for cell, value in zip(found[field.name].to_pylist(), table[field.name].to_pylist(), strict=True):
            if cell is None or is_text or type(value) in (date, datetime, time, Decimal):
                assert same(cell if is_text else read(cell, value, field.type), value)
            elif pa.types.is_floating(field.type):
                assert same(field.type.to_pandas_dtype()(cell), value)
            else:
                assert same(read(json.loads(cell), value, field.type), value)


@settings(some, max_examples=40)
@given(tables())
def test_random_values_come_back_from_parquet(tmp_path: Path, table: pa.Table) -> None:
    found = parquet.read_table(BytesIO(exported(published(tmp_path / "rows", table), "parquet")))
    assert same(found.to_pylist(), table.to_pylist())


@few
@given(tables())
def test_datasets_reads_the_directory_and_the_parquet_file_alike(tmp_path: Path, table: pa.Table) -> None:
    dataset = published(tmp_path / "rows", table)
    (tmp_path / "rows.parquet").write_bytes(exported(dataset, "parquet"))
    there = datasets.load_from_disk(str(dataset.path))
    cache = tmp_path / f"cache-{len(list(tmp_path.iterdir()))}"
    here = datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(cache))
    assert same(here.to_list(), there.to_list())
