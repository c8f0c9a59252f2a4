"""Inferring the record type of an input: all its columns, each with a type for all its values."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synth.schemas.errors import InputError
from synth.schemas.reading.formats import Batch, describe, schema_of
from synth.schemas.reading.formats.exact import Number
from synth.schemas.reading.inputs import Input
from synth.schemas.record import Column, Record
from synth.schemas.storable import common_type, inner_types, is_list, storable
from synth.schemas.stores.copies import as_needed
from synth.schemas.stores.places import origin

__all__ = [
    "JsonTypes",
    "becomes_text",
    "columns_of",
    "common_column",
    "declared_schema",
    "infer_record",
    "unified",
    "warn_read_as_text",
]


# The column types for values of one Python type.
_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


@dataclass(frozen=True)
class _InferredColumn:
    """A column of an input; `why` is the reason that values other than text are read as text."""

    column: Column
    why: str | None = None


def infer_record(
    source: Input, asked: Record, columns: Mapping[str, str], types: Mapping[str, pa.DataType] | None = None
) -> Record:
    """The columns of the open record `asked`, matched as for any record, and all other columns of `source`.

    `columns` renames columns of `source` (record column to input column). A JSON column of text and numbers becomes a
    numeric text column, one of other mixed types a column of JSON text; a warning says which and why. If the `types` of
    all columns are known, `source` is not read. Raises `InputError` for a name in `columns` that does not exist or is
    taken.
    """
    known = None if types is None else [_InferredColumn(Column(name, kind, "")) for name, kind in types.items()]
    found = known or _inferred_columns(source)
    given = [each.column.name for each in found]
    new_names = {old: new for new, old in columns.items()}
    for new, old in columns.items():
        if old not in given:
            raise InputError(f"--column {new}={old}: {source.spec} has no column {old}, only {', '.join(given)}")
        if new in given and new not in new_names:
            raise InputError(f"--column {new}={old}: {source.spec} has a column {new} already")
    for column in asked.columns:
        match = next((name for name in (column.name, *column.aliases) if name in given), None)
        if column.name not in columns and match:
            new_names.setdefault(match, column.name)
    others = []
    for each in found:
        column = replace(each.column, name=new_names.get(each.column.name, each.column.name), optional=True)
        if column.name not in asked.names:
            others.append(column)
            if each.why:
                warn_read_as_text(column, each.why)
    return Record(source.name, "", (*asked.columns, *others))


def warn_read_as_text(column: Column, why: str) -> None:
    """Warn that a column is read as text although it has other values."""
    kind = "JSON text" if column.json else "text"
    logging.getLogger("synth").warning("%s: the column %s is read as %s", why, column.name, kind)


def becomes_text(known: Column, both: Column) -> bool:
    """Whether values of the column `known` that are not text become text in `both`."""
    return (both.json, both.numeric) != (known.json, known.numeric)


def columns_of(source: Input) -> list[Column]:
    """The columns that any row of `source` has, with a type for all their values."""
    return [found.column for found in _inferred_columns(source)]


def declared_schema(source: Input) -> pa.Schema | None:
    """The columns that the files declare, with types for the values of all files; None for JSON."""
    schemas = _declared(source)
    named = [(origin(file), schema) for file, schema in schemas.items() if schema is not None]
    return unified(named, "files") if len(named) == len(schemas) else None


def unified(schemas: Iterable[tuple[str, pa.Schema]], what: str) -> pa.Schema:
    """A schema for the rows of several named ones. Raises `InputError` for a column without a common type."""
    merged = pa.schema([])
    for name, schema in schemas:
        try:
            merged = pa.unify_schemas([merged, schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(f"{name} does not fit the {what} before it: {error}") from error
    return merged


def common_column(one: Column, other: Column) -> Column | None:
    """A column for the values of two columns with the same name; None if there is none."""
    if one.json or other.json:
        return one if one.json else other
    if (kind := _common_type(one.type, other.type)) is not None:
        return replace(one, type=kind, numeric=one.numeric or other.numeric)
    if not (_is_json(one.type) and _is_json(other.type)):
        return None
    if _is_scalar(one.type) and _is_scalar(other.type):
        return replace(one, type=pa.string(), numeric=True)
    return replace(one, type=pa.string(), json=True)


def _is_scalar(kind: pa.DataType) -> bool:
    """Whether this is text or a number."""
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _inferred_columns(source: Input) -> list[_InferredColumn]:
    declared = _declared(source)
    schemas = {file: schema for file, schema in declared.items() if schema is not None}
    return _declared_columns(schemas) if len(schemas) == len(declared) else _json_columns(source)


def _declared(source: Input) -> dict[Path, pa.Schema | None]:
    """What each file declares; all shards of a dataset directory declare the same."""
    return {file: schema_of(file) for file in as_needed(source.files[:1] if source.dataset else source.files)}


def _declared_columns(schemas: Mapping[Path, pa.Schema]) -> list[_InferredColumn]:
    found: dict[str, _InferredColumn] = {}
    places: dict[str, Path] = {}
    for file, schema in schemas.items():
        for field in schema:
            kind = storable(field.type)
            if kind is None:
                raise InputError(
                    f"{origin(file)} has a column {field.name} of the type {field.type}, which a dataset directory "
                    "cannot store: leave it out or convert it"
                )
            doc = (field.metadata or {}).get(b"doc", b"").decode()
            known = found.setdefault(field.name, _InferredColumn(Column(field.name, kind, doc))).column
            place = places.setdefault(field.name, file)
            both = common_column(known, Column(field.name, kind, doc))
            why = f"{field.name} is {known.type} in {origin(place)} and {kind} in {origin(file)}"
            if both is None:
                raise InputError(f"{why}: convert one of them")
            if becomes_text(known, both):
                found[field.name] = _InferredColumn(both, why)
            else:
                found[field.name] = replace(found[field.name], column=both)
    return list(found.values())


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A type for the values of both, unchanged; None if there is none."""
    if one != other and pa.types.is_decimal(one) != pa.types.is_decimal(other) and not {one, other} & {pa.null()}:
        return None
    return common_type(one, other)


def _is_json(kind: pa.DataType) -> bool:
    """Whether all values of a type can be written as JSON."""
    types = pa.types
    return all(
        types.is_struct(inner) or is_list(inner) or types.is_null(inner) or types.is_boolean(inner) or _is_scalar(inner)
        for inner in inner_types(kind)
    )


class _Kinds:
    """The Python types of the values of a JSON column so far."""

    def __init__(self) -> None:
        self.types: set[type] = set()
        # Whether there are integers that float64 cannot represent.
        self.wide = False
        # The common type of all lists and objects; None if there is none.
        self.nested: pa.DataType | None = pa.null()

    def add(self, values: list[Any]) -> None:
        types = set(map(type, values))
        self.types |= types - {type(None)}
        if int in types and types <= {int, float, type(None)} and not self.wide:
            numbers = [0, *filter(None, values)]
            # Most integers are small, so two comparisons decide.
            self.wide = (max(numbers) > 2**53 or min(numbers) < -(2**53)) and any(map(_exceeds_float64, numbers))
        if types & {list, dict} and self.nested is not None:
            try:
                self.nested = _common_type(self.nested, pa.array(values).type)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                self.nested = None

    def certain(self) -> pa.DataType | None:
        """The type for all values; None if single ones have to be looked at to know it."""
        kinds = self.types
        if not kinds:
            return pa.null()
        if len(kinds) == 1 and (kind := _TYPES.get(next(iter(kinds)))):
            return kind
        if kinds <= {int, float}:
            return None if self.wide else pa.float64()
        if kinds not in ({list}, {dict}) or self.nested is None:
            return None
        # Arrow would convert true to 1.0, and round.
        return None if any(map(pa.types.is_floating, inner_types(self.nested))) else self.nested

    def add_column(self, values: pa.Array) -> None:
        """The same for values of one type."""
        kind = values.type
        if values.null_count == len(values):
            return
        if pa.types.is_nested(kind):
            self.types.add(dict if pa.types.is_struct(kind) else list)
            self.nested = None if self.nested is None else _common_type(self.nested, kind)
            return
        self.types |= {python for python, arrow in _TYPES.items() if arrow == kind}
        if kind == pa.int64() and not self.wide:
            low, high = pc.min_max(values).as_py().values()
            self.wide = (high > 2**53 or low < -(2**53)) and any(map(_exceeds_float64, values.to_pylist()))


class JsonTypes:
    """The types of the columns of JSON rows, as far as they were seen."""

    def __init__(self) -> None:
        self.kinds: dict[str, _Kinds] = {}

    def add(self, batch: Batch) -> None:
        if not isinstance(batch.rows, list):
            for name, column in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                self.kinds.setdefault(name, _Kinds()).add_column(column)
            return
        for name in dict.fromkeys(chain.from_iterable(batch.rows)):
            try:
                values = list(map(itemgetter(name), batch.rows))
            except KeyError:
                values = [row.get(name) for row in batch.rows]
            self.kinds.setdefault(name, _Kinds()).add(values)

    def certain(self) -> dict[str, pa.DataType] | None:
        """The type of each column; None if single values have to be looked at to know one."""
        found = {name: kinds.certain() for name, kinds in self.kinds.items()}
        types = {name: kind for name, kind in found.items() if kind is not None}
        return types if len(types) == len(found) else None


def _json_columns(source: Input) -> list[_InferredColumn]:
    types = JsonTypes()
    for batch in source.batches(lenient=True):
        types.add(batch)
    return [_json_column(source, name, found) for name, found in types.kinds.items()]


def _json_column(source: Input, name: str, found: _Kinds) -> _InferredColumn:
    if (kind := found.certain()) is not None:
        return _InferredColumn(Column(name, kind, ""))
    kinds = found.types
    if kinds <= {str, int, float, Number}:
        return _InferredColumn(Column(name, pa.string(), "", numeric=True), _first_conflict(source, name))
    if found.nested is not None and len(kinds) == 1:
        why = _first_conflict(source, name)
        if why is None:
            return _InferredColumn(Column(name, found.nested, ""))
    else:
        why = _first_conflict(source, name) or f"{name} has values of several types in {source.spec}"
    return _InferredColumn(Column(name, pa.string(), "", json=True), why)


def _exceeds_float64(value: Any) -> bool:
    """Whether this is an integer that float64 cannot represent."""
    return type(value) is int and not -(2**53) <= value <= 2**53 and int(float(value)) != value


@dataclass(frozen=True)
class _Example:
    value: Any
    place: str

    @property
    def kind(self) -> str:
        if isinstance(self.value, Number):
            return "a long number"
        if type(self.value) is float:
            return "a fraction"
        return "a wide number" if _exceeds_float64(self.value) else describe(self.value)

    def is_compatible(self, other: "_Example") -> bool:
        kinds = {self.kind, other.kind}
        return len(kinds) == 1 or kinds in ({"a number", "a fraction"}, {"a number", "a wide number"})


def _first_conflict(source: Input, name: str) -> str | None:
    """Where two values of the column `name`, or of one path inside it, have no common type; None if there are none."""
    first: dict[str, dict[str, _Example]] = {}
    for batch in source.batches(lenient=True):
        rows = batch.by_row.rows
        assert isinstance(rows, list)
        for index, row in enumerate(rows):
            for path, value in _nested_values(name, row.get(name)):
                found = _Example(value, "")
                known = first.setdefault(path, {})
                if found.kind in known:
                    continue
                found = known[found.kind] = _Example(value, batch.place(index))
                if found.kind == "a long number":
                    return f"{path} is {value} in {found.place}, which exceeds 64 bits"
                if other := next((seen for seen in known.values() if not seen.is_compatible(found)), None):
                    return _conflict(path, other, found)
    return None


def _conflict(path: str, one: _Example, other: _Example) -> str:
    numbers = describe(one.value) == describe(other.value)
    words = [str(seen.value) if numbers else describe(seen.value) for seen in (one, other)]
    return f"{path} is {words[0]} in {one.place} and {words[1]} in {other.place}"


def _nested_values(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value and all values inside it with their paths; `meta.scores[]` is the path of a list's items."""
    if value is None:
        return
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _nested_values(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nested_values(f"{path}[]", inner)
