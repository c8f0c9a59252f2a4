"""Every Arrow type: `datasets` opens what is published of it and finds the same values, or it is refused by name."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from synth.schemas.errors import InputError
from synth.schemas.reading.sources import Source
from synth.schemas.records import ROW
from synth.schemas.shards import ShardWriter
from synth.schemas.storable import storable, stored
from synth.schemas.writing.publication import OutputClaim

MAP = pa.map_(pa.string(), pa.int64())
PRIMITIVE: list[tuple[pa.DataType, list[Any]]] = [
    (pa.uint64(), [2**64 - 1, None]),
    (pa.int8(), [-128, None]),
    (pa.float16(), [1.5, None]),
    (pa.float32(), [0.1, None]),
    (pa.bool_(), [True, None]),
    (pa.decimal32(5, 2), [decimal.Decimal("-1.50"), None]),
    (pa.decimal64(15, 2), [decimal.Decimal("1.50"), None]),
    (pa.decimal128(38, 10), [decimal.Decimal("12345678901234567890.0123456789"), None]),
    (pa.decimal256(60, 2), [decimal.Decimal("1.50"), None]),
    (pa.timestamp("us", "Europe/Berlin"), [datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC), None]),
    (pa.timestamp("s"), [datetime.datetime(1, 1, 1), None]),
    (pa.time32("ms"), [datetime.time(1, 2, 3, 4000), None]),
    (pa.time64("us"), [datetime.time(1, 2, 3, 4), None]),
    (pa.duration("us"), [datetime.timedelta(days=-1), None]),
    (pa.date32(), [datetime.date(2024, 2, 29), None]),
    (pa.date64(), [datetime.date(2024, 2, 29), None]),
    (pa.string(), ["é", None]),
    (pa.large_string(), ["é", None]),
    (pa.string_view(), ["a longer text than twelve", None]),
    (pa.binary(), [b"\0\xff", None]),
    (pa.large_binary(), [b"\0\xff", None]),
    (pa.binary_view(), [b"more bytes than twelve", None]),
    (pa.binary(2), [b"\0\xff", None]),
    (pa.null(), [None, None]),
]
NESTED: list[tuple[pa.DataType, list[Any]]] = [
    (pa.list_(pa.string()), [["a", None], None]),
    (pa.list_(pa.int8(), 2), [[1, None], None]),
    (pa.large_list(pa.int64()), [[1], []]),
    (pa.list_view(pa.int64()), [[1, 2], None]),
    (pa.large_list_view(pa.string()), [["x"], []]),
    (pa.struct([]), [{}, None]),
    (pa.list_(pa.null()), [[None], []]),
    (pa.struct([("x", pa.string_view()), ("y", pa.list_(pa.decimal32(3, 1)))]), [{"x": "a", "y": []}, None]),
]
MAPS: list[tuple[pa.DataType, list[Any], list[Any]]] = [
    (MAP, [[("k", 1), ("l", None)], None], [[{"key": "k", "value": 1}, {"key": "l", "value": None}], None]),
    (pa.list_(MAP), [[[("k", 1)], []], None], [[[{"key": "k", "value": 1}], []], None]),
    (pa.struct([("m", MAP)]), [{"m": [("k", 1)]}, None], [{"m": [{"key": "k", "value": 1}]}, None]),
    (
        pa.map_(pa.int32(), MAP),
        [[(3, [("k", 1)])], []],
        [[{"key": 3, "value": [{"key": "k", "value": 1}]}], []],
    ),
]


def published(folder: Path, values: pa.Array, form: str = "arrow") -> list[Any]:
    """What `datasets` reads of a directory that was made of a file with these values."""
    table = pa.table({"id": [str(number) for number in range(len(values))], "v": values})
    path = folder / f"in.{form}"
    if form == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)
    read = Source(str(path), ROW, {}, None).table(folder / f"scratch-{form}")
    claim = OutputClaim.open(folder / form, {"stage": "test"})
    assert claim
    writer = ShardWriter(claim.layout.shards / "0.arrow", read.schema)
    writer.write(read)
    claim.publish([writer.close()], [], {})
    claim.close()
    return [row["v"] for row in datasets.load_from_disk(folder / form).to_list()]


@pytest.mark.parametrize(("kind", "values"), [*PRIMITIVE, *NESTED], ids=lambda value: str(value)[:40])
def test_values_stay_what_they_are(tmp_path: Path, kind: pa.DataType, values: list[Any]) -> None:
    array = pa.array(values, kind)
    assert published(tmp_path, array) == array.to_pylist()


@pytest.mark.parametrize(("kind", "values", "expected"), MAPS, ids=lambda value: str(value)[:40])
def test_a_map_becomes_a_list_of_keys_and_values(
    tmp_path: Path, kind: pa.DataType, values: list[Any], expected: list[Any]
) -> None:
    assert published(tmp_path, pa.array(values, kind)) == expected
    assert published(tmp_path, pa.array(values, kind), "parquet") == expected


def test_dictionaries_runs_and_extensions_give_their_values(tmp_path: Path) -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([1, 3], pa.int32()), pa.array(["x", None]))
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8()))
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef", None], pa.binary(16)))
    for number, (array, expected) in enumerate(
        [
            (pa.array([7, None, 7]).dictionary_encode(), [7, None, 7]),
            (pa.StructArray.from_arrays([pa.array(["a", None]).dictionary_encode()], ["d"]), [{"d": "a"}, {"d": None}]),
            (runs, ["x", None, None]),
            (flags, [True, False, None]),
            (uuids, [b"0123456789abcdef", None]),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        assert published(tmp_path / str(number), array) == expected


@pytest.mark.parametrize(
    "array",
    [
        pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]),
        pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        pa.StructArray.from_arrays([pa.array([[1], [2]], pa.list_view(pa.int64()))], ["x"]),
    ],
    ids=lambda array: str(array.type)[:30],
)
def test_what_cannot_be_held_is_refused_by_name(tmp_path: Path, array: pa.Array) -> None:
    with pytest.raises(
        InputError, match=r"in.arrow has a column v of the type .*, which a dataset directory cannot store"
    ):
        published(tmp_path, array)


def _types(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    return st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda kind: pa.list_(kind, 2)),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
        st.lists(inner, max_size=3).map(lambda kinds: pa.struct([(f"f{i}", kind) for i, kind in enumerate(kinds)])),
    )


def _values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type as pyarrow takes them."""
    types = pa.types
    if types.is_map(kind):
        return st.none() | st.lists(st.tuples(st.text(max_size=3), _values(kind.item_type)), max_size=3)
    if types.is_fixed_size_list(kind):
        return st.none() | st.lists(_values(kind.value_type), min_size=2, max_size=2)
    if types.is_list(kind) or types.is_large_list(kind):
        return st.none() | st.lists(_values(kind.value_type), max_size=3)
    if types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: _values(field.type) for field in kind})
    return st.sampled_from(next(values for other, values in PRIMITIVE if other == kind))


def _plain(kind: pa.DataType, value: Any) -> Any:
    """A value as it is expected in a directory: maps as lists of key and value."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return [{"key": key, "value": _plain(kind.item_type, item)} for key, item in value]
    if pa.types.is_struct(kind):
        return {field.name: _plain(field.type, value[field.name]) for field in kind}
    if pa.types.is_nested(kind):
        return [_plain(kind.value_type, item) for item in value]
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.recursive(st.sampled_from([kind for kind, _ in PRIMITIVE]), _types, max_leaves=6), data=st.data())
def test_any_nested_type_keeps_its_values(kind: pa.DataType, data: Any) -> None:
    values = data.draw(st.lists(_values(kind), max_size=4))
    start = data.draw(st.integers(0, len(values)))
    target = storable(kind)
    assert target is not None
    datasets.Features.from_arrow_schema(pa.schema([("v", target)]))
    array = pa.array(values, kind)
    kept = stored(array.slice(start))
    kept.validate(full=True)
    assert kept.type == target
    assert kept.to_pylist() == [_plain(kind, value) for value in array.slice(start).to_pylist()]
