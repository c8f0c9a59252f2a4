"""A file format, and what it reads: batches of rows, and the rows among them that are unreadable."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.stores.places import origin

__all__ = ["ROWS_PER_BATCH", "Batch", "Format", "UnreadableRow", "require_unique"]

ROWS_PER_BATCH = 4096


@dataclass(frozen=True)
class UnreadableRow:
    """A row that cannot be parsed: its index in the file, its place and fault, and its text."""

    index: int
    detail: str
    raw: str


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one file; `first` is the index of the first one in the file.

    `rows` are the readable rows, `bad` the others. `lines` are the numbers of the lines on which `rows` begin, if the
    format has lines. `plain` rows are those for which a fast parser alone is exact. `text_only` rows have only text.
    Columns of JSON have their `text`: in another batch of the file they may have other types.
    """

    file: Path
    first: int
    rows: list[dict[str, Any]] | pa.RecordBatch
    bad: tuple[UnreadableRow, ...] = ()
    lines: Sequence[int] | None = None
    plain: bool = False
    text_only: bool = False
    text: bytes | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """The number of rows of the file, readable or not."""
        return len(self.rows) + len(self.bad)

    def index(self, index: int) -> int:
        """The index in the file of the row at `index`."""
        index += self.first
        for bad in self.bad:
            index += bad.index <= index
        return index

    @cached_property
    def by_row(self) -> "Batch":
        """The same rows, those of JSON as dicts, each with its own names and types."""
        if self.text is None:
            return self
        return replace(self, rows=list(map(orjson.loads, self.text.split(b"\n")[: len(self)])), text=None)

    def row(self, index: int) -> dict[str, Any]:
        rows = self.by_row.rows
        row: dict[str, Any] = rows[index] if isinstance(rows, list) else rows.slice(index, 1).to_pylist()[0]
        return row

    def names(self, index: int) -> list[str]:
        """The columns of the row at `index`; JSON rows each have their own."""
        rows = self.by_row.rows
        return list(rows[index]) if isinstance(rows, list) else rows.schema.names

    def has(self, name: str) -> bool:
        """Whether any row has the column."""
        if isinstance(self.rows, list):
            return any(name in row for row in self.rows)
        return name in self.rows.schema.names

    def place(self, index: int) -> str:
        """Where the row at `index` of this batch is, for messages; counted from 1."""
        if self.lines:
            return f"{origin(self.file)}:{self.lines[index]}"
        return f"row {self.index(index) + 1} of {origin(self.file)}"


@dataclass(frozen=True)
class Format:
    """A file format: the suffixes of its files, and how to read them.

    `read` yields the rows of a file in order; `schema` returns the columns that the file declares, and is None if each
    row has its own. `text` files may be compressed. `read_plain` reads a file for which `read` yielded only plain
    batches. `count` tells the number of rows of a file that is not compressed, blank lines included; it is None if only
    reading the rows tells.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Iterator[Batch]]
    schema: Callable[[Path], pa.Schema] | None = None
    text: bool = True
    read_plain: Callable[[Path], Iterator[Batch]] | None = None
    count: Callable[[Path], int] | None = None


def require_unique(path: Path, names: Sequence[str]) -> None:
    """Raises `InputError` if two columns of a file have the same name."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{origin(path)} has two columns named {name or 'with an empty text'}")
