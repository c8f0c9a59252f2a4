"""Stages that look at all rows of their input together: a single row, the gathering, has the others as its members."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from synth.pipelines.runtime.counts import Counts
from synth.schemas.dataset import read_shards
from synth.schemas.layout import Workplace
from synth.schemas.shards import Shard

__all__ = ["gathering", "of_members"]


def gathering(table: pa.Table, name: str) -> pa.Table:
    """A table of one row with the id `name`, whose `rows` are the rows of `table`."""
    schema = pa.schema([("id", pa.string()), ("rows", pa.list_(pa.struct([*table.schema])))])
    return pa.Table.from_pylist([{"id": name, "rows": table.to_pylist()}], schema)


def of_members(whole: Counts, shards: Sequence[Shard], table: pa.Table, workplace: Workplace) -> Counts:
    """The counts of the rows of `table`, from those of their gathering and from the shards of rejected rows.

    Rows that are among the rejected ones under their own ids were rejected. The others share the fate of the gathering:
    they produced its output, or failed.
    """
    members, gone = {*table["id"].to_pylist()}, set[str]()
    told = Counter[tuple[bool, str]]()
    for shard in read_shards([workplace.shards / shard.filename for shard in shards]):
        ids, reasons = shard["id"].to_pylist(), shard["reason"].to_pylist()
        gone |= members.intersection(ids)
        told.update((row_id in members, reason) for row_id, reason in zip(ids, reasons, strict=True))
    rejected = {reason: count for (is_member, reason), count in told.items() if is_member}
    others = {reason: count for (is_member, reason), count in told.items() if not is_member}
    # A row that is rejected twice is one too many, which the runner finds out.
    left = table.num_rows - len(gone)
    return Counts(
        produced=left if whole.produced else 0,
        rejected=sum(rejected.values()),
        failed=left if whole.failed else 0,
        outputs=whole.outputs,
        reasons=rejected,
        failures=dict.fromkeys(whole.failures, left),
        output_reasons={} if whole.failed else others,
        tallies=whole.tallies,
    )
