"""Counts bad input rows, and publishes them with the rejected rows."""

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.output import padded_table
from synth.pipelines.runtime.rows import Finished
from synth.schemas.layout import Workplace
from synth.schemas.shards import ShardWriter

__all__ = ["with_bad_rows"]


def with_bad_rows(
    finished: Finished, bad: pa.Table, rejected: pa.Schema, workplace: Workplace, *, is_cut: bool
) -> Finished:
    """Add the bad rows to a stage's result, as one more shard of rejected rows.

    If `--until` ended the run early, only bad rows before the last processed row count.
    """
    if is_cut:
        usable_before = pc.subtract(bad["number"], pa.array(range(bad.num_rows)))
        bad = bad.filter(pc.less(usable_before, finished.rows))
    if not bad.num_rows:
        return finished
    columns = {name: bad[name] for name in ("id", "reason", "detail", "raw_row")}
    with ShardWriter(workplace.bad_rows, rejected) as writer:
        writer.write(padded_table(columns, rejected, bad.num_rows))
        shard = writer.close()
    counts = Counts(rejected=bad.num_rows, reasons=dict(Counter(bad["reason"].to_pylist())))
    counts.add(finished.counts)
    rows = finished.rows + bad.num_rows
    return replace(finished, rows=rows, counts=counts, rejected=[*finished.rejected, shard])
