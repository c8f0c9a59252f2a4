"""Gather rows of a memory-mapped table in any order."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Gatherer", "gathered"]

BYTES_AT_A_TIME = 64 << 20
FIRST_ROWS = 16
ROWS_PER_BATCH = 4096


class Gatherer:
    """Takes rows of a table by their indices. Arrow's `take` copies every chunked column as a whole; this copies
    only the rows taken, from each chunk that holds some."""

    def __init__(self, table: pa.Table) -> None:
        self._schema = table.schema
        self._batches = table.to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """The rows at these indices, in this order. Costs a little for each chunk, so ask for many at once."""
        order = np.argsort(rows)
        cuts = np.searchsorted(rows[order], self._starts)
        pieces = [
            self._batches[number].take(pa.array(rows[order[cuts[number] : cuts[number + 1]]] - self._starts[number]))
            for number in np.flatnonzero(np.diff(cuts))
        ]
        found = pa.Table.from_batches(pieces, self._schema)
        if np.any(np.diff(rows) < 0):
            places = np.empty_like(order)
            places[order] = np.arange(len(order))
            # In one piece, random access costs a fifth of what it does in thousands of them.
            found = found.combine_chunks().take(pa.array(places))
        return pa.Table.from_batches(found.to_batches(max_chunksize=ROWS_PER_BATCH), self._schema)


def gathered(table: pa.Table, rows: NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows at `rows`, in that order, in tables of some 64 MB, after a few small ones that show the row size."""
    gatherer = Gatherer(table)
    size = FIRST_ROWS
    while len(rows):
        portion, rows = rows[:size], rows[size:]
        found = gatherer.take(portion)
        yield found
        size = max(1, min(4 * size, size * BYTES_AT_A_TIME // max(1, found.nbytes)))
