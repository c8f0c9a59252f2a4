"""Splits tables into portions, passes them between processes, and copies their rows to the output."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.stage import Output

__all__ = ["pack", "portions", "reject_rows", "unpack", "write_kept"]


def portions(table: pa.Table, max_rows: int = 4096, max_bytes: int = 4 << 20) -> Iterator[pa.Table]:
    """All rows in order, in slices of at most `max_bytes` unless a single row is larger."""
    start = 0
    while start < table.num_rows:
        rows = max_rows
        while rows > 1 and table.slice(start, rows).nbytes > max_bytes:
            rows //= 2
        yield table.slice(start, rows)
        start += rows


def pack(table: pa.Table) -> bytes:
    """Serialize a slice without the rest of its table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def unpack(packed: bytes) -> pa.Table:
    return pa.ipc.open_stream(packed).read_all()


def write_kept(rows: pa.Table, removed: Mapping[int, tuple[str, str]], output: Output) -> None:
    """Write `rows`, but reject those `removed`: a map, in row order, from index to reason and detail."""
    if not removed:
        output.write_table(rows, accounts_for=rows.num_rows)
        return
    kept = np.ones(rows.num_rows, bool)
    kept[list(removed)] = False
    output.write_table(rows.filter(pa.array(kept)), accounts_for=rows.num_rows - len(removed))
    reasons, details = zip(*removed.values(), strict=True)
    output.reject_table(rows.filter(pa.array(~kept)), reasons, details)


def reject_rows(table: pa.Table, faults: Mapping[int, tuple[str, str]], output: Output) -> None:
    """Reject rows of `table`: by index, the reason and the detail of each."""
    rows = np.array(sorted(faults), np.int64)
    start = 0
    for portion in gathered(table, rows):
        part = rows[start : start + portion.num_rows].tolist()
        start += portion.num_rows
        reasons, details = zip(*map(faults.__getitem__, part), strict=True)
        output.reject_table(portion, reasons, details)
