"""A chunk of consecutive input rows: the unit of publication.

Rows of an open chunk finish in any order and are journaled. When the last one has finished, the chunk is published as
one shard of output rows and one of rejected rows, both in input order, and its journals are deleted. A straggler
therefore keeps only its own chunk open, and only open chunks are held in memory.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.runtime.counts import FAILED, OUTPUT, REJECTED_INPUT, Counts, Published
from synth.pipelines.runtime.lines import EndedRow, LineFormat
from synth.pipelines.runtime.stage import Rejected, Row
from synth.schemas.answers import AnswerJournal, PriorAnswers, compress_answers
from synth.schemas.atomic import write_json
from synth.schemas.journal import Journal, read_journal
from synth.schemas.layout import Workplace
from synth.schemas.shards import Shard, ShardWriter

__all__ = ["Chunk", "Failure"]

# Lines sorted and written per batch when a chunk is published.
SLICE = 8192


@dataclass(frozen=True)
class Failure:
    """An input row that failed: its processing raised, or the engine did not answer. `reason` is counted."""

    id: str
    error: str
    traceback: str
    reason: str = "failed"


class Chunk:
    """Rows `start` to `stop` (exclusive) of `table`, journaled and published in a workplace as lines of `form`."""

    def __init__(
        self, number: int, table: pa.Table, start: int, stop: int, form: LineFormat, workplace: Workplace
    ) -> None:
        self.start, self.stop = start, stop
        self.counts = Counts()
        # Outputs of finished rows, whether flushed or not.
        self.outputs = 0
        self.failures: dict[int, Failure] = {}
        self._number = number
        self._table = table
        self._form = form
        self._place = workplace
        self.journals = workplace.journals(number)
        self._waiting: list[EndedRow] = []
        self._remaining = stop - start

    @property
    def is_published(self) -> bool:
        return self._place.published(self._number).is_file()

    def published(self) -> Published | None:
        """The record of this published chunk; None for an open one."""
        record = self._place.published(self._number)
        return Published.read(json.loads(record.read_text())) if record.is_file() else None

    def is_intact(self, published: Published) -> bool:
        """Whether the shards hold what was published."""
        return all(shard.is_intact(self._place.shards / shard.filename) for shard in published.shards)

    def unpublish(self) -> None:
        """Undo the publication. Answers that were kept become its journal again, so no request is repeated."""
        kept = self._place.kept.answers_of(self._number)
        if kept.is_file():
            self.journals.folder.mkdir(parents=True, exist_ok=True)
            kept.rename(self.journals.answers)
        self._place.published(self._number).unlink()

    def open(self, prior: PriorAnswers | None = None) -> None:
        """Open the journals, recover the rows that an earlier run finished, and take over its answers."""
        self.journals.folder.mkdir(parents=True, exist_ok=True)
        self.answers = AnswerJournal(self.journals.answers)
        if prior:
            for answers in prior.of_rows(self._table["id"].slice(self.start, self.stop - self.start)):
                self.answers.carry_over(answers)
        self._journal = Journal(self.journals.rows, self._form.schema)
        self._finished = set(self._journal.recovered["_row"].to_pylist())
        self.counts = Counts.of(self._journal.recovered)
        self.outputs = self.counts.outputs
        self._remaining = self.stop - self.start - len(self._finished)
        # Unfinished rows before the last finished one.
        self.overtaken = max(self._finished, default=self.start - 1) + 1 - self.start - len(self._finished)

    def pending(self) -> Iterator[tuple[int, Row]]:
        """The unfinished rows, each with its index in the input."""
        # Kept locally: the chunk may be closed before this generator is exhausted.
        index, finished = self.start, self._finished
        for batch in self._table.slice(self.start, self.stop - self.start).to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                if index not in finished:
                    yield index, row
                index += 1

    @property
    def is_done(self) -> bool:
        return self._remaining == 0

    def finish(self, index: int, items: Sequence[Row | Rejected], outputs: int, tallies: dict[str, float]) -> None:
        """Record a row's items in order; `outputs` of them were not filtered out."""
        self._waiting.append((index, items, None, tallies))
        self.outputs += outputs
        self._remaining -= 1

    def reject(
        self, index: int, rejected: Rejected, items: Sequence[Row | Rejected], tallies: dict[str, float]
    ) -> None:
        """Record a rejected row; `items` are its outputs, all filtered out."""
        self._waiting.append((index, items, (REJECTED_INPUT, rejected), tallies))
        self._remaining -= 1

    def fail(self, index: int, failure: Failure) -> None:
        """Record a failed row. It is not journaled, so the next run retries it."""
        self.failures[index] = failure
        self._remaining -= 1

    def add_to(self, counts: Counts) -> None:
        """Add its rows that have ended, failed ones included."""
        counts.add(self.counts)
        for failure in self.failures.values():
            counts.failed += 1
            counts.failures[failure.reason] = counts.failures.get(failure.reason, 0) + 1

    def flush(self) -> None:
        """Write the rows finished since the last flush, answers first. A row whose values do not fit fails."""
        self.answers.flush()
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._write(waiting)
        except pa.ArrowException:
            for ended in waiting:
                self._write_one(ended)

    def _write_one(self, ended: EndedRow) -> None:
        try:
            self._write([ended])
        except pa.ArrowException as error:
            index, items, _, _ = ended
            row_id = self._table["id"][index].as_py()
            self.failures[index] = Failure(row_id, f"a value does not fit its column: {error}", str(error))
            self.outputs -= sum(not isinstance(item, Rejected) for item in items)

    def _write(self, ended: Sequence[EndedRow]) -> None:
        lines = self._form.batch(ended)
        self._journal.append(lines)
        self.counts.add(Counts.of(lines))

    def row_of_output(self, number: int) -> int:
        """The index of the input row of the chunk's output `number`, counted from 1 in input order."""
        lines = self._read()
        rows: list[int] = np.sort(lines["_row"].to_numpy()[lines["_kind"].to_numpy() == OUTPUT]).tolist()
        return rows[number - 1]

    def publish(self, *, stop: int | None = None, keep_answers: bool = False) -> None:
        """Write the shards, without the rows from index `stop` on; failed rows are rejected with their traceback.

        Writing the record, the last step, publishes the chunk. Answers are kept if `keep_answers`, and all
        journals if rows failed, so that these can be retried.
        """
        self.flush()
        self.close()
        lines = self._read()
        failures = {index: failure for index, failure in self.failures.items() if stop is None or index < stop}
        if failures:
            lines = pa.concat_tables([lines, self._failed_lines(failures)])
        if stop is not None:
            lines = lines.filter(pc.less(lines["_row"], stop))
        if failures or stop is not None:
            self.counts = Counts.of(lines)
        data, rejected = self._write_shards(lines)
        kept = self._place.kept
        if keep_answers:
            compress_answers(self.journals.answers, kept.answers_of(self._number))
        if failures:
            _link(self.journals.rows, kept.failed_journals(self._number).rows)
            _link(self.journals.answers, kept.failed_journals(self._number).answers)
        published = Published(self.counts, data, rejected)
        write_json(self._place.published(self._number), asdict(published))
        shutil.rmtree(self.journals.folder)

    def _read(self) -> pa.Table:
        return read_journal(self.journals.rows, self._form.schema)

    def _failed_lines(self, failures: Mapping[int, Failure]) -> pa.Table:
        lines: list[EndedRow] = []
        for index, failure in failures.items():
            (row,) = self._table.slice(index, 1).to_pylist()
            lines.append((index, (), (FAILED, Rejected(row, failure.reason, failure.traceback)), {}))
        return pa.Table.from_batches([self._form.batch(lines)])

    def _write_shards(self, lines: pa.Table) -> tuple[Shard, Shard]:
        order = np.argsort(lines["_row"].to_numpy(), kind="stable")
        is_output = lines["_kind"].to_numpy()[order] == OUTPUT
        data = _write_shard(self._place.data(self._number), self._form.outputs, lines, order, is_output)
        if is_output.all():
            return data, Shard("", 0, 0, "")
        return data, _write_shard(self._place.rejected(self._number), self._form.rejected, lines, order, ~is_output)

    def close(self) -> None:
        """Close the journals; discards what has not been flushed."""
        self.answers.close()
        self._journal.close()
        del self.answers, self._journal, self._finished


def _write_shard(
    path: Path, schema: pa.Schema, lines: pa.Table, order: NDArray[Any], wanted: NDArray[np.bool_]
) -> Shard:
    """Write the `wanted` lines in `order`, in batches that do not depend on how the lines were journaled."""
    lines = lines.select(schema.names)
    with ShardWriter(path, schema) as writer:
        for start in range(0, len(order), SLICE):
            part = slice(start, start + SLICE)
            taken = lines.take(pa.array(order[part][wanted[part]]))
            if taken.num_rows:
                writer.write(taken.cast(schema))
        return writer.close()


def _link(source: Path, target: Path) -> None:
    """Hard-link the file, so that a crash at any point leaves at least one of its names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if source.exists():
        os.link(source, target)
