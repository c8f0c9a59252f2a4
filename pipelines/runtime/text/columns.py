"""The texts of a row: the columns that a stage reads, each a text, a list of texts, or the messages of a chat."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.storable import is_list, is_text

__all__ = ["Texts", "all_text_columns", "text_column", "text_columns", "texts_of", "url_column"]

# Usual column names of a document's text and URL.
TEXT_NAMES = ("text", "content", "document", "passage", "raw_content")
URL_NAMES = ("url", "source_url", "URL", "uri")
# Fields with the text of a chat message.
MESSAGE_TEXT = ("content", "value")


def text_columns(schema: pa.Schema, named: Sequence[str], flag: str = "--text") -> tuple[str, ...]:
    """The columns to read: those `named`, or else the document's text, or else the only column with text."""
    possible = all_text_columns(schema)
    known = f"only {', '.join(possible)}" if possible else "and no other column has"
    for name in named:
        if name not in possible:
            raise InputError(f"{flag} {name}: the input has no column {name} with text or messages, {known}")
    if named:
        return tuple(named)
    chosen = [name for name in TEXT_NAMES if name in possible][:1] or possible
    if len(chosen) == 1:
        return tuple(chosen)
    if not chosen:
        raise InputError(f"the input has no column with text or messages, only {', '.join(schema.names)}")
    raise InputError(f"the columns {', '.join(chosen)} have text: name the one to use with {flag} NAME")


def text_column(schema: pa.Schema, named: str | None, flag: str = "--text") -> str:
    """The only column to read, chosen as by `text_columns`: a text in each row."""
    (column,) = text_columns(schema, (named,) if named else (), flag)
    if not is_text(schema.field(column).type):
        raise InputError(f"a row of {column} has several texts or messages: name a column of texts with {flag} NAME")
    return column


def all_text_columns(schema: pa.Schema) -> list[str]:
    # A column of JSON text has values of several types.
    return [f.name for f in schema if f.name != "id" and _has_text(f.type) and b"json" not in (f.metadata or {})]


def url_column(schema: pa.Schema) -> str | None:
    return next((name for name in URL_NAMES if name in schema.names and is_text(schema.field(name).type)), None)


def texts_of(table: pa.Table, columns: Sequence[str]) -> list[list[str]]:
    """The texts of each row: of every column, and of every message in it. Null becomes the empty string."""
    values = [table[name].to_pylist() for name in columns]
    return [[text for value in row for text in _texts(value)] for row in zip(*values, strict=True)]


class Texts:
    """The texts of single rows of a memory-mapped table."""

    def __init__(self, table: pa.Table, columns: Sequence[str]) -> None:
        self._columns = columns
        self._batches = table.select(list(columns)).to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def __getitem__(self, row: int) -> list[str]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        batch = self._batches[number].slice(row - int(self._starts[number]), 1)
        return texts_of(pa.Table.from_batches([batch]), self._columns)[0]


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        return [next((value[name] for name in MESSAGE_TEXT if isinstance(value.get(name), str)), "")]
    return [value or ""]


def _has_text(kind: pa.DataType) -> bool:
    if is_list(kind):
        return _has_text(kind.value_type) or _is_message(kind.value_type)
    return is_text(kind)


def _is_message(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(is_text(field.type) for field in kind if field.name in MESSAGE_TEXT)
