"""The record type of an input that is taken as it is: every column, with the type that all its values have."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import pyarrow as pa

from schemas.errors import InputError
from schemas.formats import Batch, describe, schema_of
from schemas.inputs import Input
from schemas.record import Column, Record

__all__ = ["columns_of", "declared_schema", "infer_record"]


def infer_record(source: Input, asked: Record, columns: Mapping[str, str]) -> Record:
    """The columns of the open record `asked`, found as those of any record are, and all others of `source`.

    `columns` gives names of columns of `source` (record column to input column); the others keep theirs. A JSON column
    that holds text and numbers is a numeric text column; one that mixes other kinds raises `InputError`, as does a name
    in `columns` that cannot be meant.
    """
    kept = columns_of(source)
    given = [column.name for column in kept]
    new_names = {old: new for new, old in columns.items()}
    for new, old in columns.items():
        if old not in given:
            raise InputError(f"--column {new}={old}: {source.spec} has no column {old}, only {', '.join(given)}")
        if new in given and new not in new_names:
            raise InputError(f"--column {new}={old}: {source.spec} has a column {new} already")
    for column in asked.columns:
        found = next((name for name in (column.name, *column.aliases) if name in given), None)
        if column.name not in columns and found:
            new_names.setdefault(found, column.name)
    named = [Column(new_names.get(c.name, c.name), c.type, c.doc, optional=True, numeric=c.numeric) for c in kept]
    return Record(source.name, "", (*asked.columns, *(column for column in named if column.name not in asked.names)))


def columns_of(source: Input) -> list[Column]:
    """The columns that any row of `source` has, with the type that all its values have."""
    schema = declared_schema(source)
    return _json_columns(source) if schema is None else [_column(field) for field in schema]


def declared_schema(source: Input) -> pa.Schema | None:
    """The columns that the files declare, in types that hold what any of them holds; None for JSON."""
    merged = pa.schema([])
    for file in source.files:
        schema = schema_of(file)
        if schema is None:
            return None
        try:
            merged = pa.unify_schemas([merged, schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(f"{file} does not go with the files before it: {error}") from error
    return merged


def _column(field: pa.Field) -> Column:
    doc = (field.metadata or {}).get(b"doc", b"").decode()
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    return Column(field.name, kind, doc)


def _json_columns(source: Input) -> list[Column]:
    kinds: dict[str, dict[type, int]] = {}
    nested: dict[str, pa.DataType] = {}
    first = 0
    for batch in source.batches():
        assert isinstance(batch.rows, list)
        for name in dict.fromkeys(chain.from_iterable(batch.rows)):
            values = [row.get(name) for row in batch.rows]
            seen = kinds.setdefault(name, {})
            for kind in set(map(type, values)) - seen.keys() - {type(None)}:
                seen[kind] = first + next(index for index, value in enumerate(values) if type(value) is kind)
            if seen.keys() & {list, dict}:
                nested[name] = _merged(name, nested.get(name, pa.null()), values, batch)
        first += len(batch)
    return [_json_column(name, seen, nested.get(name), source) for name, seen in kinds.items()]


def _json_column(name: str, seen: Mapping[type, int], nested: pa.DataType | None, source: Input) -> Column:
    kinds = set(seen)
    if kinds == {str}:
        return Column(name, pa.string(), "")
    if kinds <= {int, float} and kinds:
        return Column(name, pa.int64() if kinds == {int} else pa.float64(), "")
    if kinds <= {str, int, float} and kinds:
        return Column(name, pa.string(), "", numeric=True)
    if kinds == {bool}:
        return Column(name, pa.bool_(), "")
    if len(kinds) == 1:
        return Column(name, nested, "")
    if not kinds:
        return Column(name, pa.null(), "")
    (one, here), (other, there) = sorted(seen.items(), key=lambda item: item[1])[:2]
    raise InputError(
        f"{name} is {describe(one())} in {source.place(here)} and {describe(other())} in {source.place(there)}: "
        "a column holds one kind of value"
    )


def _merged(name: str, known: pa.DataType, values: list[Any], batch: Batch) -> pa.DataType:
    """The type of lists or objects that holds the `known` ones and these."""
    try:
        schemas = [pa.schema([(name, known)]), pa.schema([(name, pa.infer_type(values))])]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException as error:
        first, last = batch.place(0), batch.place(len(batch) - 1)
        raise InputError(f"{name} holds values of different kinds between {first} and {last}: {error}") from error
