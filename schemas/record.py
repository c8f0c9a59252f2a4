"""Record types: Arrow schemas whose columns carry their documentation, which `synth schema` prints."""

from dataclasses import dataclass

import pyarrow as pa

import synth.schemas.lean_arrow  # noqa: F401

__all__ = ["Column", "Record"]


@dataclass(frozen=True)
class Column:
    """One documented column.

    `aliases` are names for the same column in other steps of the recipe or in published data: an input without `name`
    is searched for them in order. An `optional` column may be absent from an input, or null. A `numeric` text column
    also accepts numbers, written as Python writes them (a gold answer of 72 or 0.5), or unchanged where they exceed 64
    bits. A `json` text column accepts any JSON value, and stores it as JSON text. A column that `takes_input` is
    joined with the row's input into one text (`schemas.instructions`).
    """

    name: str
    type: pa.DataType
    doc: str
    aliases: tuple[str, ...] = ()
    optional: bool = False
    numeric: bool = False
    takes_input: bool = False
    json: bool = False


@dataclass(frozen=True)
class Record:
    """A named row type. `schema` is its Arrow schema: one nullable field per column.

    The metadata of a field has its doc, and marks a column of JSON text with `json`. Rows of an `open` record also
    keep all other columns of the input.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    open: bool = False

    @property
    def schema(self) -> pa.Schema:
        marks = [{"doc": column.doc, **({"json": "text"} if column.json else {})} for column in self.columns]
        return pa.schema([pa.field(c.name, c.type, metadata=mark) for c, mark in zip(self.columns, marks, strict=True)])

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]
