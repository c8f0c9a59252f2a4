"""Arrow values in the few types of JSON and CSV, without losing a digit.

Text, integers and booleans are unchanged. Decimals, dates and times become text (ISO 8601, zoned times in UTC), floats
of 16 and 32 bits the shortest number that reads back as the same float, and maps lists of key and value. Other types,
such as bytes and durations, are refused.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.storable import inner_types, is_binary, is_list, is_text, storable, stored

__all__ = ["json_texts", "plain_values", "text_of_plain"]

_QUOTE, _EMPTY = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())


class _Unwritable(Exception):
    """A value that JSON cannot represent; the message describes it."""


def plain_values(
    table: pa.Table, name: str, place: Callable[[int], str], *, finite: bool = True, advice: str
) -> list[Any]:
    """A column as values that `orjson` writes; text of Arrow's JSON type is written as the value that it encodes.

    Raises `InputError` for a value that JSON cannot represent, with the column, the `place` of the row and the
    `advice`. NaN and infinity are such values if `finite`, and always inside lists and objects.
    """
    values: list[Any] = []
    for chunk in table[name].chunks:
        try:
            values += _values(chunk, finite)
        except _Unwritable:
            index, what = next(_unwritable(chunk, finite))
            raise InputError(f"{name} is {what} in {place(len(values) + index)}: {advice}") from None
    return values


def json_texts(table: pa.Table, name: str, place: Callable[[int], str], *, advice: str) -> pa.Array:
    """A column as the JSON of each value, as `orjson` writes those of `plain_values`, in large strings.

    Raises the same errors.
    """
    texts = []
    for chunk in table[name].chunks:
        try:
            texts.append(_texts(_plain(stored(chunk) if storable(chunk.type) else chunk)))
        except _Unwritable:
            # Says which value it is.
            plain_values(table, name, place, advice=advice)
            raise
    return pa.chunked_array(texts, pa.large_string()).combine_chunks()


def text_of_plain(value: Any) -> str:
    """A plain value other than null as text, any that is not text as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _values(chunk: pa.Array, finite: bool) -> list[Any]:
    return _values_of(_plain(stored(chunk) if storable(chunk.type) else chunk, finite))


def _values_of(found: pa.Array) -> list[Any]:
    try:
        values: list[Any] = found.to_pylist()
    except UnicodeDecodeError as error:
        raise _Unwritable(f"not UTF-8 text ({error.reason})") from None
    has_json = any(isinstance(kind, pa.JsonType) for kind in inner_types(found.type))
    return [_with_json(value, found.type) for value in values] if has_json else values


def _unwritable(chunk: pa.Array, finite: bool) -> Iterator[tuple[int, str]]:
    for index in range(len(chunk)):
        try:
            _values(chunk.slice(index, 1), finite)
        except _Unwritable as error:
            yield index, str(error)


def _plain(values: pa.Array, finite: bool = True) -> pa.Array:
    """Values of a stored type in JSON's types and Arrow's JSON type. Raises `_Unwritable`."""
    import pyarrow.compute as pc

    kind, types = values.type, pa.types
    if values.null_count == len(values):
        return pa.nulls(len(values))
    if is_text(kind) or types.is_boolean(kind) or types.is_integer(kind) or isinstance(kind, pa.JsonType):
        return values
    if types.is_floating(kind):
        return _number(values, finite)
    if types.is_decimal(kind) or types.is_time(kind) or types.is_date(kind):
        return values.cast(pa.string())
    if types.is_timestamp(kind):
        text = values.cast(pa.timestamp(kind.unit, kind.tz and "UTC")).cast(pa.string())
        return pc.replace_substring(text, " ", "T", max_replacements=1)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(values.storage, finite)
    if is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(values).cast(pa.int64()), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
        return pa.LargeListArray.from_arrays(offsets, _plain(values.flatten()), mask=values.is_null())
    if types.is_struct(kind) and kind.num_fields:
        columns = [_plain(column) for column in values.flatten()]
        fields = [pa.field(name, column.type) for name, column in zip(kind.names, columns, strict=True)]
        return pa.StructArray.from_arrays(columns, fields=fields, mask=values.is_null())
    if types.is_struct(kind):
        return values
    raise _Unwritable("bytes" if is_binary(kind) else f"of the type {kind}")


def _number(values: pa.Array, finite: bool) -> pa.Array:
    """Floats as the 64-bit float with the same shortest form: a 32-bit 0.1 becomes 0.1, not 0.10000000149011612."""
    import pyarrow.compute as pc

    if finite and not pc.all(pc.is_finite(values)).as_py():
        raise _Unwritable("NaN" if pc.any(pc.is_nan(values)).as_py() else "infinite")
    if values.type == pa.float64():
        return values
    numbers = zip(values.to_numpy(zero_copy_only=False), values.is_valid().to_pylist(), strict=True)
    return pa.array([float(str(number)) if valid else None for number, valid in numbers], pa.float64())


def _texts(values: pa.Array) -> pa.Array:
    """Plain values as JSON."""
    import pyarrow.compute as pc

    kind, types = values.type, pa.types
    if not len(values):
        return pa.nulls(0, pa.large_string())
    if is_text(kind):
        made = pc.binary_join_element_wise(_QUOTE, _escaped(values.cast(pa.large_string())), _QUOTE, _EMPTY)
    elif types.is_boolean(kind) or types.is_integer(kind):
        made = values.cast(pa.large_string())
    elif types.is_floating(kind):
        # Nulls are NaN here, which is written as null.
        numbers = orjson.dumps(values.to_numpy(zero_copy_only=False), option=orjson.OPT_SERIALIZE_NUMPY)
        made = pc.split_pattern(pa.array([numbers[1:-1]], pa.large_string()), ",").flatten()
    else:
        made = pa.array([orjson.dumps(value).decode() for value in _values_of(values)], pa.large_string())
    return pc.fill_null(made, "null")


def _escaped(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Texts as they are between quotation marks."""
    import pyarrow.compute as pc

    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        # Says which byte is at fault.
        _values_of(texts)
    edges, content = np.frombuffer(texts.buffers()[1], np.int64), texts.buffers()[2]
    used = np.frombuffer(content or b"", np.uint8)[edges[texts.offset] : edges[texts.offset + len(texts)]]
    found = used[(used < ord(" ")) | (used == ord('"')) | (used == ord("\\"))]
    # The backslash first, because all others become one and something else.
    for character in sorted(map(chr, np.unique(found)), key="\\".__ne__):
        texts = pc.replace_substring(texts, character, orjson.dumps(character)[1:-1].decode())
    return texts


def _with_json(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise _Unwritable(f"not JSON ({error})") from None
        # As it is written, so no digit is lost. A line break can only be between values.
        return orjson.Fragment(value.replace("\n", " ").replace("\r", " "))
    if pa.types.is_struct(kind):
        return {name: _with_json(value[name], kind.field(name).type) for name in kind.names}
    if pa.types.is_large_list(kind):
        return [_with_json(item, kind.value_type) for item in value]
    return value
