"""A chunk of consecutive input rows: the unit that is open or published.

The rows of an open chunk finish in any order and go to its journals; when the last one has finished, the chunk is
published as one shard of output rows and one of rejected rows, both in input order, and its journals go. A straggler
therefore keeps one chunk open and nothing else, and memory holds no more than the chunks that are open.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.stage import Rejected, Row, Stage
from pipelines.tools import AnswerJournal
from schemas.journal import Journal, read_journal
from schemas.writing import Shard, ShardWriter, write_json

__all__ = ["Chunk", "Counts", "Failure", "rejected_schema"]

# What a journal line is.
OUTPUT, REJECTED_OUTPUT, REJECTED_INPUT, FAILED = range(4)
# Rows that are sorted and written at a time when a chunk is published.
SLICE = 8192


@dataclass
class Counts:
    """What became of the input rows, and what came out. `produced + rejected + failed` is the number of finished rows.

    `reasons` counts rejected input rows, `output_reasons` the outputs that were made and turned away; `tallies` are the
    sums that stages and tools keep.
    """

    produced: int = 0
    rejected: int = 0
    failed: int = 0
    outputs: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    output_reasons: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, float] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        return self.produced + self.rejected + self.failed

    def add(self, other: "Counts") -> None:
        for name in ("produced", "rejected", "failed", "outputs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("reasons", "output_reasons", "tallies"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key, amount in theirs.items():
                mine[key] = mine.get(key, 0) + amount


@dataclass(frozen=True)
class Failure:
    """An input row whose own processing raised: its traceback is for the person who mends the cause."""

    row_id: str
    error: str
    traceback: str


def rejected_schema(stage: Stage) -> pa.Schema:
    """Reason and detail, then every column that an input row or an output row of the stage can have."""
    columns = {column.name: column.type for column in (*stage.input.columns, *stage.output.columns)}
    return pa.schema([("id", columns.pop("id")), ("reason", pa.string()), ("detail", pa.string()), *columns.items()])


class Chunk:
    """Rows `start` to `stop` of the input, with journals under `working` and finished shards in `shards`."""

    def __init__(self, stage: Stage, index: int, start: int, stop: int, *, working: Path, shards: Path) -> None:
        self.start, self.stop = start, stop
        self.counts = Counts()
        self.failures: dict[int, Failure] = {}
        self._folder = working / f"{index:05d}"
        self._shards = shards
        self._name = f"{index:05d}"
        self._output = stage.output.schema
        self._rejected = rejected_schema(stage)
        # A line can be an output, too: the columns of rejected rows are those of outputs and more.
        self._columns = self._rejected.names
        self._lines = pa.schema(
            [("_row", pa.int64()), ("_kind", pa.int8()), ("_tallies", pa.string()), *self._rejected]
        )
        self._waiting: list[tuple[int, str, list[list[Any]]]] = []

    @property
    def is_published(self) -> bool:
        return self._record.is_file()

    @property
    def _record(self) -> Path:
        return self._shards / f"{self._name}.json"

    def published(self) -> tuple[Counts, Shard, Shard]:
        """What a published chunk holds."""
        record = json.loads(self._record.read_text())
        return Counts(**record["counts"]), Shard(**record["data"]), Shard(**record["rejected"])

    def open(self) -> None:
        """Open the journals and find out which rows have finished in an earlier run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.answers = AnswerJournal(self._folder / "answers.arrow")
        self._journal = Journal(self._folder / "rows.arrow", self._lines)
        self._finished = set(self._journal.recovered["_row"].to_pylist())
        self.counts = _count(self._journal.recovered)
        self._remaining = self.stop - self.start - len(self._finished)

    def pending(self, table: pa.Table) -> Iterator[tuple[int, Row]]:
        """The rows that have not finished, with their index in the input."""
        index = self.start
        for batch in table.slice(self.start, self.stop - self.start).to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                if index not in self._finished:
                    yield index, row
                index += 1

    @property
    def is_done(self) -> bool:
        return self._remaining == 0

    def finish(self, index: int, row_id: str, items: Sequence[Row | Rejected], tallies: dict[str, float]) -> None:
        """A row gave these outputs, in this order."""
        lines = [
            self._line(index, REJECTED_OUTPUT, item.row, item.reason, item.detail)
            if isinstance(item, Rejected)
            else self._line(index, OUTPUT, item)
            for item in items
        ]
        self._end(index, row_id, lines, tallies)

    def reject(
        self, index: int, row: Row, reason: str, detail: str, items: Sequence[Rejected], tallies: dict[str, float]
    ) -> None:
        """A row gave nothing, for this reason; `items` are the outputs that it made and turned away."""
        lines = [self._line(index, REJECTED_OUTPUT, item.row, item.reason, item.detail) for item in items]
        lines.append(self._line(index, REJECTED_INPUT, row, reason, detail))
        self._end(index, row["id"], lines, tallies)

    def fail(self, index: int, failure: Failure) -> None:
        """A row raised. It is not journaled, so that the next run tries it again."""
        self.failures[index] = failure
        self._remaining -= 1

    def _line(self, index: int, kind: int, row: Row, reason: str | None = None, detail: str | None = None) -> list[Any]:
        line = [index, kind, None, *map(row.get, self._columns)]
        if reason is not None:
            line[4], line[5] = reason, detail
        return line

    def _end(self, index: int, row_id: str, lines: list[list[Any]], tallies: dict[str, float]) -> None:
        if tallies:
            lines[0][2] = orjson.dumps(tallies).decode()
        self._waiting.append((index, row_id, lines))
        self._remaining -= 1

    def flush(self) -> None:
        """Write what has finished since the last flush, answers first. A row whose values do not fit has failed."""
        self.answers.flush()
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._write([line for _, _, lines in waiting for line in lines])
        except pa.ArrowException:
            for index, row_id, lines in waiting:
                try:
                    self._write(lines)
                except pa.ArrowException as error:
                    self.failures[index] = Failure(row_id, f"a value does not fit its column: {error}", str(error))

    def _write(self, lines: list[list[Any]]) -> None:
        self._journal.write(lines)
        self.counts.add(_count(pa.table(list(zip(*[line[:5] for line in lines], strict=True)), names=_COUNTED)))

    def publish(self) -> None:
        """Turn the journal into shards. The record is written last: with it the chunk is published."""
        self.close()
        lines = read_journal(self._folder / "rows.arrow", self._lines)
        order = np.argsort(lines["_row"].to_numpy(), kind="stable")
        data = ShardWriter(self._shards / f"{self._name}.arrow", self._output)
        rejected = ShardWriter(self._shards / f"{self._name}.rejected.arrow", self._rejected)
        for start in range(0, len(order), SLICE):
            part = lines.take(pa.array(order[start : start + SLICE]))
            is_output = pc.equal(part["_kind"], OUTPUT)
            data.write(part.filter(is_output).select(self._output.names).cast(self._output))
            rejected.write(part.filter(pc.invert(is_output)).select(self._rejected.names))
        record = {"counts": asdict(self.counts), "data": asdict(data.close()), "rejected": asdict(rejected.close())}
        write_json(self._record, record)
        shutil.rmtree(self._folder)

    def accept_failures(self, rows: pa.Table) -> None:
        """Write the rows that failed into the journal as rejected, for a run that may publish without them."""
        for index, failure in self.failures.items():
            row = rows.slice(index, 1).to_pylist()[0]
            self._write([self._line(index, FAILED, row, "failed", failure.traceback)])

    def close(self) -> None:
        self.flush()
        self.answers.close()
        self._journal.close()


_COUNTED = ["_row", "_kind", "_tallies", "id", "reason"]


def _count(lines: pa.Table) -> Counts:
    """Count whole rows of a journal. Rows with an output are produced; the others hold one rejected or failed input."""
    counts = Counts()
    kinds = lines["_kind"].to_numpy()
    rows = lines["_row"].to_numpy()
    counts.outputs = int((kinds == OUTPUT).sum())
    counts.produced = len(np.unique(rows[kinds == OUTPUT]))
    counts.rejected = int((kinds == REJECTED_INPUT).sum())
    counts.failed = int((kinds == FAILED).sum())
    for kind, reasons in ((REJECTED_INPUT, counts.reasons), (REJECTED_OUTPUT, counts.output_reasons)):
        for value in pc.value_counts(lines["reason"].filter(pa.array(kinds == kind))):
            reasons[value["values"].as_py()] = value["counts"].as_py()
    for tallies in lines["_tallies"].drop_null().to_pylist():
        counts.add(Counts(tallies=orjson.loads(tallies)))
    return counts
