"""What has been read of an input, and the rows of it that cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.schemas.reading.formats.exact import text_of

__all__ = ["SCHEMA", "BadRow", "Reading", "bad_table", "joined_readings"]

# `position` is the number of usable rows before it, `raw_row` the row as JSON, or its text where it cannot be read.
SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        *((name, pa.string()) for name in ("id", "reason", "detail", "raw_row")),
    ]
)


class BadRow(NamedTuple):
    """A row that cannot be used, as `SCHEMA` has it."""

    position: int
    id: str
    reason: str
    detail: str
    raw_row: str


@dataclass(frozen=True)
class Reading:
    """The usable rows of an input, and the others as `SCHEMA` has them, in the order of the input."""

    table: pa.Table
    bad: pa.Table

    @classmethod
    def of(cls, table: pa.Table, bad: Sequence[BadRow] = ()) -> "Reading":
        return cls(table, bad_table(bad))

    @property
    def rows(self) -> int:
        return int(self.table.num_rows + self.bad.num_rows)

    def first(self, limit: int | None) -> "Reading":
        """The first `limit` rows of the input, usable or not."""
        if limit is None or limit >= self.rows:
            return self
        bad = int((self._bad_in_input() < limit).sum())
        return Reading(self.table.slice(0, limit - bad), self.bad.slice(0, bad))

    def in_input(self, indices: Sequence[int]) -> list[int]:
        """The indices in the input of the rows at these indices of the table."""
        return [int(index) for index in np.asarray(indices) + np.searchsorted(self._positions, indices, side="right")]

    def bad_row(self, index: int, row_id: str, reason: str, detail: str) -> BadRow:
        """The row of the table at `index`, to be taken out of it."""
        (row,) = self.table.slice(index, 1).to_pylist()
        return BadRow(index, row_id, reason, detail, text_of(row, otherwise=str))

    def without(self, rows: Sequence[BadRow]) -> "Reading":
        """Without these rows of the table, whose positions are their ascending indices in it."""
        if not rows:
            return self
        dropped = np.array([row.position for row in rows])
        edges = [-1, *dropped.tolist(), self.table.num_rows]
        kept = [self.table.slice(one + 1, other - one - 1) for one, other in pairwise(edges)]
        bad = pa.concat_tables([self.bad, bad_table(rows)])
        order = np.argsort(np.concatenate([self._bad_in_input(), self.in_input(dropped.tolist())]), kind="stable")
        bad = bad.take(pa.array(order))
        positions = bad["position"].to_numpy()
        positions = positions - np.searchsorted(dropped, positions)
        return Reading(pa.concat_tables(kept), bad.set_column(0, SCHEMA.field(0), pa.array(positions)))

    @property
    def _positions(self) -> NDArray[np.int64]:
        positions: NDArray[np.int64] = self.bad["position"].to_numpy()
        return positions

    def _bad_in_input(self) -> NDArray[np.int64]:
        return self._positions + np.arange(self.bad.num_rows)


def bad_table(rows: Sequence[BadRow]) -> pa.Table:
    """Bad rows as `SCHEMA` has them."""
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def joined_readings(readings: Sequence[Reading], table: pa.Table) -> Reading:
    """All of these in order, whose usable rows are those of `table`."""
    starts = np.cumsum([0, *(reading.table.num_rows for reading in readings)])
    bad = [
        reading.bad.set_column(0, SCHEMA.field(0), pa.array(reading.bad["position"].to_numpy() + start))
        for reading, start in zip(readings, starts, strict=False)
    ]
    return Reading(table, pa.concat_tables(bad))
