"""Whether values fit a column, and their conversion where they do."""

from typing import Any

import pyarrow as pa

from schemas.formats import describe
from schemas.record import Column

__all__ = ["Misfit", "convert", "wanted"]

# What pyarrow raises for values that do not fit, and Python for numbers that do not.
_UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)


class Misfit(Exception):
    """A column cannot take these values: the one at `index` (None for all of them) is `found`."""

    def __init__(self, index: int | None, found: str) -> None:
        super().__init__(found)
        self.index = index
        self.found = found


def convert(column: Column, values: list[Any] | pa.Array, *, text_only: bool = False) -> pa.Array:
    """`values` as an array of the column's type, nulls and NaN as null.

    Text stays text, numbers stay numbers; but a numeric text column takes numbers, the id takes whole numbers, and
    where a format knows text only (CSV) numbers are parsed. Raises `Misfit`.
    """
    if isinstance(values, pa.Array):
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if values.type == column.type:
            return values
        if not _takes(column, values.type, text_only):
            raise Misfit(None, str(values.type))
    try:
        return _converted(column, values)
    except _UNFIT:
        index = next(i for i in range(len(values)) if not _fits(column, values[i : i + 1]))
        raise Misfit(index, _shown(values[index] if isinstance(values, list) else values[index].as_py())) from None


def wanted(column: Column) -> str:
    """What the column takes, in words."""
    kind = column.type
    if pa.types.is_string(kind):
        return "text or a number" if column.numeric else "text"
    if pa.types.is_integer(kind):
        return "a whole number"
    if pa.types.is_floating(kind):
        return "a number"
    return f"{kind}"


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
        return pa.array(map(_written, values) if to_text and not kinds <= {str} else values, column.type)
    if to_text and (pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        return pa.array([None if v is None or v != v else str(v) for v in values.to_pylist()], column.type)
    if _is_text(values.type) and not to_text:
        values = pc.if_else(pc.equal(values, ""), None, values)
    if pa.types.is_floating(values.type) and pa.types.is_integer(column.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values.cast(column.type)


def _json_kinds(column: Column) -> set[type]:
    """The types of the JSON values that a column takes; pyarrow alone would take a text for a list of letters."""
    kind = column.type
    if pa.types.is_string(kind):
        return {str, int, float} if column.numeric else {str, int} if column.name == "id" else {str}
    if pa.types.is_integer(kind):
        return {int}
    if pa.types.is_floating(kind):
        return {int, float}
    if pa.types.is_boolean(kind):
        return {bool}
    return {dict} if pa.types.is_struct(kind) else {list}


def _written(value: Any) -> str | None:
    if _is_beyond_64_bits(value):
        raise OverflowError
    return None if value is None or value != value else str(value)


def _is_beyond_64_bits(value: Any) -> bool:
    """Whether a whole number may have lost digits: the JSON parser makes a float of one that is this large."""
    return isinstance(value, float) and abs(value) >= 2**63


def _takes(column: Column, given: pa.DataType, text_only: bool) -> bool:
    types, kind = pa.types, column.type
    number = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
    if types.is_null(given):
        return True
    if types.is_string(kind):
        return _is_text(given) or (column.numeric and number) or (column.name == "id" and types.is_integer(given))
    if types.is_integer(kind) or types.is_floating(kind):
        return number or (text_only and _is_text(given))
    if types.is_boolean(kind):
        return text_only and _is_text(given)
    return bool(types.is_nested(given) and types.is_nested(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _shown(value: Any) -> str:
    if _is_beyond_64_bits(value):
        return "a number beyond 64 bits (write it as text)"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:40] + '…'!r}"
    return describe(value)
