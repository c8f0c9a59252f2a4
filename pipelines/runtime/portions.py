"""Splitting tables into portions, passing them between processes, and copying their rows to the output."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from synth.pipelines.runtime.stage import Output

__all__ = ["pack", "portions", "unpack", "write_kept"]

ROWS_AT_A_TIME = 4096
BYTES_AT_A_TIME = 4 << 20


def portions(table: pa.Table, most_rows: int | None = None, most_bytes: int | None = None) -> Iterator[pa.Table]:
    """All rows in order, in slices that do not take more than `most_bytes` (4 MB) unless one row does."""
    start = 0
    while start < table.num_rows:
        rows = most_rows or ROWS_AT_A_TIME
        while rows > 1 and table.slice(start, rows).nbytes > (most_bytes or BYTES_AT_A_TIME):
            rows //= 2
        yield table.slice(start, rows)
        start += rows


def pack(table: pa.Table) -> bytes:
    """Serialize a slice for another process, without the rest of its table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def unpack(packed: bytes) -> pa.Table:
    return pa.ipc.open_stream(packed).read_all()


def write_kept(rows: pa.Table, removed: Mapping[int, tuple[str, str]], output: Output) -> None:
    """Write `rows` except those `removed`, which are rejected: index to reason and detail, in row order."""
    if not removed:
        output.write_table(rows, accounts_for=rows.num_rows)
        return
    stays = np.ones(rows.num_rows, bool)
    stays[list(removed)] = False
    output.write_table(rows.filter(pa.array(stays)), accounts_for=int(np.count_nonzero(stays)))
    reasons, details = zip(*removed.values(), strict=True)
    output.reject_table(rows.filter(pa.array(~stays)), reasons, details)
