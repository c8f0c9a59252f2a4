"""Runs a table stage: memory-mapped tables in, shards out. On resume it starts over with its `work` folder."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import xxhash

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.lines import rejected_schema
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.rows import Finished
from synth.pipelines.runtime.stage import Rejected, Row, TableStage, row_schemas
from synth.schemas.errors import Interrupted
from synth.schemas.layout import Workplace
from synth.schemas.shards import ROWS_PER_SHARD, Shard, ShardWriter

__all__ = ["run_table_stage"]

ROWS_PER_BATCH = 4096


class _Shards:
    """Rows of one schema, buffered into batches and cut into shards."""

    def __init__(self, path_of: Callable[[int], Path], schema: pa.Schema) -> None:
        self._path_of, self._schema = path_of, schema
        self._rows: list[Row] = []
        self._writer: ShardWriter | None = None
        self._written = 0
        self.closed: list[Shard] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_BATCH:
            self._write()

    def add_table(self, table: pa.Table) -> None:
        if self._rows:
            self._write()
        self._write_table(table)

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        self._write_table(pa.Table.from_pylist(rows, self._schema))

    def _write_table(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer, self._written = ShardWriter(self._path_of(len(self.closed)), self._schema), 0
        self._writer.write(table)
        self._written += table.num_rows
        if self._written >= ROWS_PER_SHARD:
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self.closed.append(self._writer.close())
            self._writer = None

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abandon()

    def close(self) -> list[Shard]:
        if self._rows or not self.closed:
            self._write()
        self._close()
        return self.closed


class _TableOutput:
    def __init__(
        self,
        outputs: pa.Schema,
        rejected: pa.Schema,
        workplace: Workplace,
        seed: int,
        stage: str,
        observe: Callable[[Counts, int], None],
    ) -> None:
        self.work, self.kept = workplace.work, workplace.kept.path
        self.seed, self._stage = seed, stage
        self.counts = Counts()
        self.data = _Shards(workplace.data, outputs)
        self._rejected = rejected
        self.rejected = _Shards(workplace.rejected, self._rejected)
        self._names = set(outputs.names)
        self._prepared = 0
        self._observe = observe

    def write(self, rows: Iterable[Row], *, accounts_for: int) -> None:
        for row in rows:
            if not row.keys() <= self._names:
                raise ValueError(f"the stage wrote undeclared columns: {sorted(row.keys() - self._names)}")
            self.data.add(row)
            self.counts.outputs += 1
        self.counts.produced += accounts_for
        self._seen()

    def write_table(self, table: pa.Table, *, accounts_for: int) -> None:
        self.data.add_table(table)
        self.counts.outputs += table.num_rows
        self.counts.produced += accounts_for
        self._seen()

    def reject(self, row: Row, reason: str, detail: str = "") -> None:
        self.rejected.add({**row, "reason": reason, "detail": detail})
        self._count_rejected(reason, 1)

    def reject_table(self, table: pa.Table, reasons: Sequence[str], details: Sequence[str]) -> None:
        why = {"reason": pa.array(reasons, pa.string()), "detail": pa.array(details, pa.string())}
        columns = {**{name: table[name] for name in table.column_names}, **why}
        arrays = [columns.get(field.name, pa.nulls(table.num_rows, field.type)) for field in self._rejected]
        self.rejected.add_table(pa.Table.from_arrays(arrays, schema=self._rejected))
        for reason, count in Counter(reasons).items():
            self._count_rejected(reason, count)
        self._seen()

    def skip(self, count: int, reason: str) -> None:
        self._count_rejected(reason, count)
        self._seen()

    def reject_output(self, output: Rejected) -> None:
        self.rejected.add({**output.row, "reason": output.reason, "detail": output.detail})
        reasons = self.counts.output_reasons
        reasons[output.reason] = reasons.get(output.reason, 0) + 1

    def _count_rejected(self, reason: str, count: int) -> None:
        self.counts.rejected += count
        self.counts.reasons[reason] = self.counts.reasons.get(reason, 0) + count

    def progress(self, rows: int) -> None:
        self._prepared = rows
        self._seen()

    def _seen(self) -> None:
        self._observe(self.counts, self._prepared)

    def salt(self, *purpose: str | int) -> int:
        return xxhash.xxh3_64_intdigest("\x00".join(map(str, (self.seed, self._stage, *purpose))).encode())

    def tally(self, name: str, amount: float = 1) -> None:
        self.counts.tallies[name] = self.counts.tallies.get(name, 0) + amount


def run_table_stage(
    stage: TableStage,
    tables: Sequence[pa.Table],
    workplace: Workplace,
    options: Options,
    observe: Callable[[Counts, int], None],
) -> Finished:
    """One pass over `tables`."""
    # An interrupted pass is repeated; expensive intermediate results are in `work` or `kept`.
    shutil.rmtree(workplace.shards)
    workplace.shards.mkdir()
    inputs, outputs = row_schemas(stage, tables[0])
    schema = rejected_schema(inputs, outputs, raw=options.rejects_bad_rows)
    output = _TableOutput(outputs, schema, workplace, options.seed, stage.name, observe)
    try:
        stage.process(tables, output)
    except BaseException as error:
        output.data.abandon()
        output.rejected.abandon()
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("interrupted: nothing was published yet, repeat the command to continue") from None
        raise
    rejected = [shard for shard in output.rejected.close() if shard.rows]
    return Finished(sum(table.num_rows for table in tables), output.counts, output.data.close(), rejected)
