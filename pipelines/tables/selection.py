"""Writing some rows of a table, in their order."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.output import Output

__all__ = ["write_selected"]

ROWS_AT_A_TIME = 1 << 16


def write_selected(table: pa.Table, is_selected: NDArray[np.bool_], output: Output) -> None:
    """Write the selected rows; the caller accounts for the others."""
    start = 0
    for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
        kept = batch.filter(pa.array(is_selected[start : start + batch.num_rows]))
        start += batch.num_rows
        if kept.num_rows:
            output.write_table(pa.Table.from_batches([kept]), accounts_for=kept.num_rows)
