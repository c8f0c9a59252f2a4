"""The conversion of values to the type of a column, and the values that do not fit."""

import contextlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from synth.schemas.reading.formats import Batch, describe
from synth.schemas.reading.formats.exact import Number, fits_float64, text_of
from synth.schemas.record import Column
from synth.schemas.storable import is_text, storable, stored

__all__ = ["Misfit", "column_values", "convert", "fitting", "misfits", "null_column", "wanted"]

# Errors of pyarrow and Python for values that do not fit.
_UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)
NULLS_AT_ONCE = 1 << 16


class Misfit(Exception):
    """Values do not fit a column: the one at `index`, or all if it is None, described by `found`."""

    def __init__(self, index: int | None, found: str) -> None:
        super().__init__(found)
        self.index = index
        self.found = found


def convert(column: Column, values: list[Any] | pa.Array, *, text_only: bool = False) -> pa.Array:
    """`values` as an array of the column's type, with null for NaN.

    Text and numbers are not converted into each other, except that a numeric text column accepts numbers, the id
    accepts integers, and numbers are parsed if the format has only text (CSV). A JSON column accepts any value, as JSON
    text. Raises `Misfit`.
    """
    if column.json:
        items = values if isinstance(values, list) else values.to_pylist()
        return pa.array([None if value is None else text_of(value) for value in items], column.type)
    if isinstance(values, pa.Array):
        if storable(values.type) is not None:
            values = stored(values)
        if values.type == column.type:
            return values
        if not _accepts(column, values.type, text_only):
            raise Misfit(None, str(values.type))
    try:
        return _converted(column, values)
    except _UNFIT:
        raise next(misfits(column, values)) from None


def column_values(batch: Batch, column: Column) -> pa.Array:
    """The values of `column` in a batch, null for rows without it. Raises `Misfit`."""
    batch = fitting(batch, [(column, column.name)])
    if isinstance(batch.rows, list):
        return convert(column, [row.get(column.name) for row in batch.rows])
    if not batch.has(column.name):
        return pa.nulls(len(batch), column.type)
    return convert(column, batch.rows.column(column.name))


def fitting(batch: Batch, wanted: Iterable[tuple[Column, str]]) -> Batch:
    """The batch, or row by row where columns of JSON are not of the types of the wanted ones, each with its name."""
    if batch.text is None or isinstance(batch.rows, list):
        return batch
    schema = batch.rows.schema
    for column, name in wanted:
        if column.json or (name in schema.names and schema.field(name).type not in (column.type, pa.null())):
            return batch.by_row
    return batch


def misfits(column: Column, values: list[Any] | pa.Array) -> Iterator[Misfit]:
    """One `Misfit` for each value that does not fit, after `convert` failed for all of them."""
    for index in range(len(values)):
        if not _fits(column, values[index : index + 1]):
            value = values[index] if isinstance(values, list) else values[index].as_py()
            yield Misfit(index, _shown(value, column))


def wanted(column: Column) -> str:
    """What the column accepts, in words."""
    kind = column.type
    if pa.types.is_string(kind):
        return "text or a number" if column.numeric else "text"
    if pa.types.is_integer(kind):
        return "a whole number"
    if pa.types.is_floating(kind):
        return "a number"
    return str(kind)


def _fits(column: Column, values: list[Any] | pa.Array) -> bool:
    try:
        _converted(column, values)
    except _UNFIT:
        return False
    return True


def _converted(column: Column, values: list[Any] | pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    to_text = pa.types.is_string(column.type)
    if isinstance(values, list):
        kinds = set(map(type, values)) - {type(None)}
        if not kinds <= _json_kinds(column):
            raise TypeError
        if column.name == "id" and Number in kinds and not all(v.is_whole for v in values if type(v) is Number):
            raise TypeError
        return pa.array(values if kinds <= {str} or not to_text else _texts(values), column.type)
    if to_text and (pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        return pa.array(_texts(values.to_pylist()), column.type)
    if is_text(values.type) and not to_text:
        values = pc.if_else(pc.equal(values, ""), None, values)
    if pa.types.is_floating(values.type) and pa.types.is_integer(column.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    converted = values.cast(column.type)
    if pa.types.is_floating(column.type) and (is_text(values.type) or pa.types.is_decimal(values.type)):
        # Arrow rounds these silently. Fifteen digits with a sign and a point always fit.
        texts = values.cast(pa.string())
        long = texts.filter(pc.greater(pc.utf8_length(texts), 17 if is_text(values.type) else 0))
        if not all(fits_float64(text) for text in long.drop_null().to_pylist()):
            raise ValueError
    return converted


def _json_kinds(column: Column) -> set[type]:
    """The types of the JSON values that a column accepts; pyarrow alone would accept text as a list of letters."""
    kind = column.type
    if pa.types.is_string(kind):
        if column.numeric:
            return {str, int, float, Number}
        return {str, int, Number} if column.name == "id" else {str}
    if pa.types.is_integer(kind):
        return {int}
    if pa.types.is_floating(kind):
        return {int, float}
    if pa.types.is_boolean(kind):
        return {bool}
    return {dict} if pa.types.is_struct(kind) else {list}


def _texts(values: list[Any]) -> list[str | None]:
    """Text and numbers as text, null for NaN."""
    return [None if value is None or value != value else str(value) for value in values]


def _accepts(column: Column, given: pa.DataType, text_only: bool) -> bool:
    types, kind = pa.types, column.type
    number = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
    if types.is_null(given):
        return True
    if types.is_string(kind):
        return is_text(given) or (column.numeric and number) or (column.name == "id" and types.is_integer(given))
    if types.is_integer(kind) or types.is_floating(kind):
        return number or (text_only and is_text(given))
    if types.is_boolean(kind):
        return text_only and is_text(given)
    return bool(types.is_nested(given) and types.is_nested(kind))


def _shown(value: Any, column: Column) -> str:
    kind = column.type
    if pa.types.is_floating(kind) and _is_number(value):
        return f"{value}, of more digits than {kind.bit_width} bits hold,"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:40] + '…'!r}"
    if pa.types.is_integer(kind) and (type(value) is int or (isinstance(value, Number) and value.is_whole)):
        return f"{value}, beyond {kind.bit_width} bits,"
    return describe(value)


def _is_number(value: Any) -> bool:
    """Whether this is a number, or text that parses as one."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            float(value)
            return True
        return False
    return type(value) is int or isinstance(value, Number | Decimal)


def null_column(rows: int, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of nulls, which takes no memory for each of its rows."""
    block = pa.nulls(NULLS_AT_ONCE, kind)
    whole, rest = divmod(rows, NULLS_AT_ONCE)
    return pa.chunked_array([*[block] * whole, block[:rest]], kind)
