"""Lines of JSON as columns, which pyarrow parses on all cores: exactly, or not at all.

pyarrow alone would read several objects on a line and one on several lines, invalid UTF-8, NaN and infinity; it rounds
long fractions, and a key that is missing is null to it. Each of these is looked for, and such a text is left to
`json_rows`, which reads it line by line. With the types given, everything else is an error of pyarrow: a key that
occurs twice or is unknown, an integer beyond 64 bits, half of a surrogate pair, a value of another type. It then infers
none either, such as times from text.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from synth.schemas.reading.formats.exact import is_same_number
from synth.schemas.storable import inner_types

__all__ = ["columns_in", "types_of"]

_SCALARS = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def types_of(rows: Sequence[Mapping[str, Any]]) -> pa.Schema | None:
    """Types that the rows have in common; None if there are none that pyarrow reads exactly.

    A column of nulls has the type null. Fractions inside lists and objects are not compared with their text.
    """
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        return None
    types = {name: _type_of([row[name] for row in rows]) for name in rows[0]}
    return pa.schema(list(types.items())) if types and None not in types.values() else None


def _type_of(values: list[Any]) -> pa.DataType | None:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pa.null()
    if kinds == {int, float}:
        return pa.float64()
    if len(kinds) > 1:
        return None
    (kind,) = kinds
    if kind in _SCALARS:
        return _SCALARS[kind]
    try:
        nested = pa.array(values).type if kind in (list, dict) else None
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    return nested if nested and not any(map(_may_differ, inner_types(nested))) else None


def _may_differ(kind: pa.DataType) -> bool:
    """Whether pyarrow may read values inside lists and objects other than as they are written."""
    return bool(pa.types.is_floating(kind) or pa.types.is_null(kind) or (pa.types.is_struct(kind) and not len(kind)))


def columns_in(text: bytes, schema: pa.Schema) -> pa.RecordBatch | None:
    """The rows of a text, one object on each line with all columns of the schema; None for any other text."""
    from pyarrow import json

    if not text.startswith(b"{") or not text.endswith((b"}\n", b"}")):
        return None
    characters = np.frombuffer(text, np.uint8)
    breaks = np.flatnonzero(characters[:-1] == ord("\n"))
    # Between } and {, a line break can only be between objects.
    if np.any(characters[breaks - 1] != ord("}")) or np.any(characters[breaks + 1] != ord("{")):
        return None
    rows = len(breaks) + 1
    try:
        text.decode()
        table = json.read_json(
            pa.BufferReader(text),
            json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
    # A line may be longer than pyarrow's blocks.
    except (pa.ArrowException, UnicodeDecodeError, OverflowError):
        return None
    if table.num_rows != rows or table.schema != schema:
        return None
    batch = table.combine_chunks().to_batches()[0]
    for name, values in zip(schema.names, batch.columns, strict=True):
        if values.null_count and not (_is_flat(schema) and text.count(orjson.dumps(name) + b":") == rows):
            return None
        if pa.types.is_floating(values.type) and not _has_same_numbers(text, name, values):
            return None
    return batch


def _is_flat(schema: pa.Schema) -> bool:
    """Whether a key is nowhere but in the rows themselves: not inside another value, and not the end of another key."""
    return not any(map(pa.types.is_nested, schema.types)) and not any('"' in name for name in schema.names)


def _has_same_numbers(text: bytes, name: str, values: pa.Array) -> bool:
    """Whether a column has the numbers of the text, to the last digit."""
    key = re.escape(orjson.dumps(name))
    written = re.findall(key + rb"[ \t]*:[ \t]*(-?[0-9][-+.0-9eE]*|null)", text)
    if len(written) != len(values):
        return False
    read = orjson.dumps(np.asarray(values.to_numpy(zero_copy_only=False)), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    # Most numbers were written as orjson writes them.
    return read == b",".join(written) or all(map(is_same_number, written, read.split(b",")))
