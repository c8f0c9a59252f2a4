"""Gather rows of a memory-mapped table in any order."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["gathered"]

BYTES_AT_A_TIME = 128 << 20
FIRST_ROWS = 16
ROWS_PER_BATCH = 4096


def gathered(table: pa.Table, rows: NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows at `rows`, in that order, in tables of some 128 MB.

    Arrow's `take` copies every chunked column as a whole, so rows are taken from each chunk. This has a cost per chunk:
    portions are large, after a few small ones that show the row size.
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
