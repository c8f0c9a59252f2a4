"""A record type is an Arrow schema whose columns carry their documentation.

So `synth schema` can print it, and a dataset directory can be checked against it.
"""

from dataclasses import dataclass

import pyarrow as pa

import synth.schemas.lean_arrow  # noqa: F401

__all__ = ["Column", "Record"]


@dataclass(frozen=True)
class Column:
    """One documented column.

    `aliases` are names under which other steps of the same recipes, or the published data, hold the same thing: an
    input that lacks `name` is searched for them in order. An `optional` column may be absent from an input, or null.
    A `numeric` text column also takes numbers, written as Python writes them (a gold answer of 72 or 0.5), or as they
    stand where 64 bits do not hold them. A text column of `json` takes whatever JSON has, and holds it as JSON text.
    One that `takes_input` is read with the input that the row has for it, as one text (`schemas.instructions`).
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
    """A named row type. `schema` is its Arrow form: one nullable field a column, its doc in the field's metadata.

    Beside the doc, `json` marks a column of JSON text there.

    Rows of an `open` record have whatever other columns the input has, too.
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
