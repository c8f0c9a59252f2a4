"""Rows of a memory-mapped table in any order, without the rest of it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["picked"]

BYTES_AT_A_TIME = 128 << 20
FIRST_ROWS = 16
ROWS_PER_BATCH = 4096


def picked(table: pa.Table, rows: NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows at `rows`, in that order, some 128 MB at a time.

    Arrow's own `take` copies the whole of each column that is in several pieces; so each piece gives its rows. As
    that takes a moment for each piece, portions are large, after a few that show how long the rows are.
    """
    batches = table.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    size = FIRST_ROWS
    while len(rows):
        portion, rows = rows[:size], rows[size:]
        order = np.argsort(portion)
        cuts = np.searchsorted(portion[order], starts)
        pieces = [
            batches[number].take(pa.array(portion[order[cuts[number] : cuts[number + 1]]] - starts[number]))
            for number in np.flatnonzero(np.diff(cuts))
        ]
        found = pa.Table.from_batches(pieces).take(pa.array(np.argsort(order)))
        yield pa.Table.from_batches(found.to_batches(max_chunksize=ROWS_PER_BATCH), table.schema)
        size = max(1, min(4 * size, size * BYTES_AT_A_TIME // max(1, found.nbytes)))
