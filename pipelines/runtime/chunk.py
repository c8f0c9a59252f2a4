"""A chunk of consecutive input rows: the unit that is open or published.

The rows of an open chunk finish in any order and go to its journals; when the last one has finished, the chunk is
published as one shard of output rows and one of rejected rows, both in input order, and its journals go. A straggler
therefore keeps one chunk open and nothing else, and memory holds no more than the chunks that are open.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.runtime.counts import FAILED, OUTPUT, REJECTED_INPUT, REJECTED_OUTPUT, Counts, Published
from synth.pipelines.runtime.stage import Rejected, Row
from synth.schemas.answers import AnswerJournal
from synth.schemas.journal import Journal, batch_of, read_journal
from synth.schemas.shards import Shard, ShardWriter
from synth.schemas.writing.publication import PartialOutput, write_json

__all__ = ["Chunk", "Failure", "rejected_schema"]

_write_json = msgspec.json.Encoder().encode
# Rows that are sorted and written at a time when a chunk is published.
SLICE = 8192


@dataclass(frozen=True)
class Failure:
    """An input row that nothing was decided about, by the name under which `rejected/` counts it.

    Either its processing raised, and the traceback is for whoever fixes the cause; or no engine answered it.
    """

    id: str
    error: str
    traceback: str
    reason: str = "failed"


def rejected_schema(inputs: pa.Schema, outputs: pa.Schema, *, raw: bool) -> pa.Schema:
    """Reason and detail, then every other column that an input row or an output row of a stage can have.

    With `raw`, rows that cannot be used are among them, as they stand in the input.
    """
    names = ("id", "reason", "detail", *(("raw_row",) if raw else ()))
    first = dict.fromkeys(names, pa.string())
    columns = {field.name: field.type for field in (*inputs, *outputs)}
    return pa.schema(list({**first, **columns, **first}.items()))


class Chunk:
    """Rows `start` to `stop` of the input of the run that is building `building`."""

    def __init__(
        self,
        outputs: pa.Schema,
        rejected: pa.Schema,
        index: int,
        start: int,
        stop: int,
        building: PartialOutput,
    ) -> None:
        self.start, self.stop = start, stop
        self.counts = Counts()
        # Outputs of rows that have ended, whether they have been written to the journal or not.
        self.outputs = 0
        self.failures: dict[int, Failure] = {}
        self.name = f"{index:05d}"
        self.folder = building.work / self.name
        self._building = building
        self._output = outputs
        self._rejected = rejected
        # A line can be an output, too: the columns of rejected rows are those of outputs and more.
        self._columns = self._rejected.names
        self._lines = pa.schema(
            [("_row", pa.int64()), ("_kind", pa.int8()), ("_tallies", pa.string()), *self._rejected]
        )
        self._waiting: list[list[Any]] = []

    @property
    def record(self) -> Path:
        return self._building.shards / f"{self.name}.json"

    def published(self) -> Published | None:
        """What this chunk was published as, or None where it was not."""
        return Published.read(json.loads(self.record.read_text())) if self.record.is_file() else None

    def is_intact(self, published: Published) -> bool:
        """Whether the shards hold what was published."""
        return all(shard.is_intact(self._building.shards / shard.filename) for shard in published.shards)

    def withdraw(self) -> None:
        """Publish it no longer. Answers that were kept beside it need not be asked for again."""
        kept = self._building.kept / "answers" / f"{self.name}.arrow"
        if kept.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            kept.rename(self.folder / "answers.arrow")
        self.record.unlink()

    def open(self) -> None:
        """Open the journals and find out which rows have finished in an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.answers = AnswerJournal(self.folder / "answers.arrow")
        self._journal = Journal(self.folder / "rows.arrow", self._lines)
        self._finished = set(self._journal.recovered["_row"].to_pylist())
        self.counts = Counts.of(self._journal.recovered)
        self.outputs = self.counts.outputs
        self._remaining = self.stop - self.start - len(self._finished)
        # Rows that have not finished, before the last one that has.
        self.overtaken = max(self._finished, default=self.start - 1) + 1 - self.start - len(self._finished)

    def pending(self, table: pa.Table) -> Iterator[tuple[int, Row]]:
        """The rows that have not finished, with their index in the input."""
        # The chunk may be done, and closed, before this has seen that no row is left.
        index, finished = self.start, self._finished
        for batch in table.slice(self.start, self.stop - self.start).to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                if index not in finished:
                    yield index, row
                index += 1

    @property
    def is_done(self) -> bool:
        return self._remaining == 0

    def finish(self, index: int, items: Sequence[Row | Rejected], outputs: int, tallies: dict[str, float]) -> None:
        """A row gave these, in this order; `outputs` of them were not turned away."""
        self.outputs += outputs
        self._end([self._line(index, item) for item in items], tallies)

    def reject(
        self,
        index: int,
        row: Row,
        reason: str,
        detail: str,
        items: Sequence[Row | Rejected],
        tallies: dict[str, float],
    ) -> None:
        """A row gave nothing, for this reason; `items` are the outputs that it made and turned away."""
        lines = [self._line(index, item) for item in items]
        self._end([*lines, self._turned_away(index, REJECTED_INPUT, Rejected(row, reason, detail))], tallies)

    def fail(self, index: int, failure: Failure) -> None:
        """A row raised. It is not journaled, so that the next run tries it again."""
        self.failures[index] = failure
        self._remaining -= 1

    def _line(self, index: int, item: Row | Rejected) -> list[Any]:
        if isinstance(item, Rejected):
            return self._turned_away(index, REJECTED_OUTPUT, item)
        return [index, OUTPUT, None, *map(item.get, self._columns)]

    def _turned_away(self, index: int, kind: int, item: Rejected) -> list[Any]:
        values = {**item.row, "reason": item.reason, "detail": item.detail}
        return [index, kind, None, *map(values.get, self._columns)]

    def _end(self, lines: list[list[Any]], tallies: dict[str, float]) -> None:
        if tallies:
            lines[0][2] = _write_json(tallies)
        self._waiting += lines
        self._remaining -= 1

    def flush(self, table: pa.Table) -> None:
        """Write what has finished since the last flush, answers first. A row whose values do not fit has failed."""
        self.answers.flush()
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._write(waiting)
        except pa.ArrowException:
            for index, lines in groupby(waiting, key=itemgetter(0)):
                try:
                    self._write(list(lines))
                except pa.ArrowException as error:
                    row_id = table["id"][index].as_py()
                    self.failures[index] = Failure(row_id, f"a value does not fit its column: {error}", str(error))
                    self.outputs -= sum(line[0] == index and line[1] == OUTPUT for line in waiting)

    def _write(self, lines: list[list[Any]]) -> None:
        self.counts.add(Counts.of(self._journal.write(lines)))

    def row_of_output(self, number: int) -> int:
        """The index in the input of the row that gave the chunk's output `number`, counted from 1 in input order."""
        lines = self._read()
        rows: list[int] = np.sort(lines["_row"].to_numpy()[lines["_kind"].to_numpy() == OUTPUT]).tolist()
        return rows[number - 1]

    def publish(self, table: pa.Table, *, stop: int | None = None, keep_answers: bool = False) -> None:
        """Turn the journal into shards, rows from index `stop` left out, failed rows as rejected ones with a traceback.

        With its record, which is written last, the chunk is published. The journals stay beside the data where they
        were asked for: answers to be parsed again, all of them where failed rows may be tried again.
        """
        self.flush(table)
        self.close()
        lines = self._read()
        failures = {index: failure for index, failure in self.failures.items() if stop is None or index < stop}
        if failures:
            lines = pa.concat_tables([lines, self._failed_lines(table, failures)])
        if stop is not None:
            lines = lines.filter(pc.less(lines["_row"], stop))
        if failures or stop is not None:
            self.counts = Counts.of(lines)
        data, rejected = self._write_shards(lines)
        if keep_answers:
            _link(self.folder / "answers.arrow", self._building.kept / "answers" / f"{self.name}.arrow")
        if failures:
            for name in ("rows.arrow", "answers.arrow"):
                _link(self.folder / name, self._building.kept / "failed" / self.name / name)
        write_json(self.record, {"counts": asdict(self.counts), "data": asdict(data), "rejected": asdict(rejected)})
        shutil.rmtree(self.folder)

    def _read(self) -> pa.Table:
        return read_journal(self.folder / "rows.arrow", self._lines)

    def _failed_lines(self, table: pa.Table, failures: Mapping[int, Failure]) -> pa.Table:
        lines = []
        for index, failure in failures.items():
            (row,) = table.slice(index, 1).to_pylist()
            lines.append(self._turned_away(index, FAILED, Rejected(row, failure.reason, failure.traceback)))
        return pa.Table.from_batches([batch_of(lines, self._lines)])

    def _write_shards(self, lines: pa.Table) -> tuple[Shard, Shard]:
        order = np.argsort(lines["_row"].to_numpy(), kind="stable")
        data = ShardWriter(self._building.shards / f"{self.name}.arrow", self._output)
        rejected: ShardWriter | None = None
        for start in range(0, len(order), SLICE):
            part = lines.take(pa.array(order[start : start + SLICE]))
            is_output = pc.equal(part["_kind"], OUTPUT)
            data.write(part.filter(is_output).select(self._output.names).cast(self._output))
            if turned_away := part.filter(pc.invert(is_output)):
                rejected = rejected or ShardWriter(
                    self._building.shards / f"{self.name}.rejected.arrow", self._rejected
                )
                rejected.write(turned_away.select(self._rejected.names))
        return data.close(), rejected.close() if rejected else Shard("", 0, 0, "")

    def close(self) -> None:
        """Let go of the journals, and of what has not been flushed."""
        self.answers.close()
        self._journal.close()
        del self.answers, self._journal, self._finished


def _link(source: Path, target: Path) -> None:
    """The same file under a second name, so that whatever happens next, one of the names leads to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if source.exists():
        os.link(source, target)
