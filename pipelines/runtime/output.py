"""The output of a table stage, written to shards."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import xxhash

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.outcomes import Rejected, Row
from synth.schemas.layout import Workplace
from synth.schemas.shards import ROWS_PER_SHARD, Shard, ShardWriter

__all__ = ["Output", "padded_table"]

ROWS_PER_BATCH = 4096
# Tables that wait for the thread that writes them: enough for it never to wait, as tables may be large.
TABLES_AHEAD = 2


class _Shards:
    """Rows of one schema, of one part, buffered into batches and split into shards, which a thread writes."""

    def __init__(self, path_of: Callable[[int], Path], schema: pa.Schema, part: str = "") -> None:
        self._path_of, self._schema, self._part = path_of, schema, part
        self._rows: list[Row] = []
        self._writer: ShardWriter | None = None
        self._written = 0
        self._closed: list[Shard] = []
        self._thread = ThreadPoolExecutor(1)
        self._unwritten: deque[Future[None]] = deque()

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_BATCH:
            self._write()

    def add_table(self, table: pa.Table) -> None:
        if self._rows:
            self._write()
        self._hand_over(table)

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        self._hand_over(pa.Table.from_pylist(rows, self._schema))

    def _hand_over(self, table: pa.Table) -> None:
        """Give a table to the thread. Raises the error of an earlier one."""
        while len(self._unwritten) >= TABLES_AHEAD:
            self._unwritten.popleft().result()
        self._unwritten.append(self._thread.submit(self._write_table, table))

    def _write_table(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer, self._written = ShardWriter(self._path_of(len(self._closed)), self._schema), 0
        self._writer.write(table)
        self._written += table.num_rows
        if self._written >= ROWS_PER_SHARD:
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._closed.append(self._writer.close().within(self._part))
            self._writer = None

    def abandon(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._writer is not None:
            self._writer.abandon()

    def close(self) -> list[Shard]:
        if self._rows or not (self._closed or self._unwritten):
            self._write()
        for written in self._unwritten:
            written.result()
        self._thread.shutdown()
        self._close()
        return self._closed


class Output:
    """Where a table stage writes its rows, in order.

    On resume a stage starts over with the same folders. `work` holds intermediate results that are expensive to
    recompute, and is deleted when the run ends; `kept` becomes part of the output.
    `sources` are the names of the inputs, in order. If there are `parts`, each table belongs to one of them.
    """

    def __init__(
        self,
        outputs: pa.Schema,
        rejected: pa.Schema,
        workplace: Workplace,
        seed: int,
        stage: str,
        sources: Sequence[str],
        observe: Callable[[Counts, int], None],
        parts: Sequence[str] = (),
    ) -> None:
        self.work, self.kept = workplace.work, workplace.kept.path
        self.seed, self._stage = seed, stage
        self.sources = sources
        self.counts = Counts()
        self._parts = {part: _Shards(partial(workplace.data, part=part), outputs, part) for part in parts or ("",)}
        for part in parts:
            (workplace.shards / part).mkdir()
        self._rejected = _Shards(workplace.rejected, rejected)
        self._rejected_schema = rejected
        self._names = set(outputs.names)
        self._prepared = 0
        self._observe = observe

    def salt(self, *purpose: str | int) -> int:
        """64 bits that depend on (run seed, stage, purpose), to hash row ids with."""
        return xxhash.xxh3_64_intdigest("\x00".join(map(str, (self.seed, self._stage, *purpose))).encode())

    def write(self, rows: Iterable[Row], *, accounts_for: int) -> None:
        """Add output rows, made from `accounts_for` input rows."""
        for row in rows:
            if not row.keys() <= self._names:
                raise ValueError(f"the stage wrote undeclared columns: {sorted(row.keys() - self._names)}")
            self._parts[""].add(row)
            self.counts.outputs += 1
        self._account(accounts_for)

    def write_table(self, table: pa.Table, *, accounts_for: int, part: str = "") -> None:
        """Add a table of output rows, whose columns are those of the stage's output, in the same order."""
        self._parts[part].add_table(table)
        self.counts.outputs += table.num_rows
        self._account(accounts_for)

    def reject(self, row: Row, reason: str, detail: str = "") -> None:
        """Reject one input row."""
        self._rejected.add({**row, "reason": reason, "detail": detail})
        self._count_rejected(reason, 1)

    def reject_table(self, table: pa.Table, reasons: Sequence[str], details: Sequence[str]) -> None:
        """Reject input rows, each with its reason and detail."""
        why = {"reason": pa.array(reasons, pa.string()), "detail": pa.array(details, pa.string())}
        columns = {**{name: table[name] for name in table.column_names}, **why}
        self._rejected.add_table(padded_table(columns, self._rejected_schema, table.num_rows))
        for reason, count in Counter(reasons).items():
            self._count_rejected(reason, count)
        self._report()

    def skip(self, count: int, reason: str) -> None:
        """Reject input rows, such as those not selected, without copying them to `rejected/`."""
        if count:
            self._count_rejected(reason, count)
            self._report()

    def reject_output(self, output: Rejected) -> None:
        """Record a filtered output row; its input row is accounted for separately."""
        self._rejected.add({**output.row, "reason": output.reason, "detail": output.detail})
        reasons = self.counts.output_reasons
        reasons[output.reason] = reasons.get(output.reason, 0) + 1

    def progress(self, rows: int) -> None:
        """Report how many input rows a first pass has read; shown until the first row is finished."""
        self._prepared = rows
        self._report()

    def tally(self, name: str, amount: float = 1) -> None:
        """Add to a sum that `synth.json` records."""
        self.counts.tallies[name] = self.counts.tallies.get(name, 0) + amount

    def close(self) -> tuple[list[Shard], list[Shard]]:
        """The shards of output rows and of rejected rows."""
        data = [shard for shards in self._parts.values() for shard in shards.close()]
        return data, [shard for shard in self._rejected.close() if shard.rows]

    def abandon(self) -> None:
        """Delete the shards that are being written."""
        for shards in self._parts.values():
            shards.abandon()
        self._rejected.abandon()

    def _account(self, rows: int) -> None:
        self.counts.produced += rows
        self._report()

    def _count_rejected(self, reason: str, count: int) -> None:
        self.counts.rejected += count
        self.counts.reasons[reason] = self.counts.reasons.get(reason, 0) + count

    def _report(self) -> None:
        self._observe(self.counts, self._prepared)


def padded_table(columns: Mapping[str, pa.Array | pa.ChunkedArray], schema: pa.Schema, rows: int) -> pa.Table:
    """A table of `rows` rows with this schema; columns that are missing are null."""
    return pa.table([columns.get(field.name, pa.nulls(rows, field.type)) for field in schema], schema=schema)
