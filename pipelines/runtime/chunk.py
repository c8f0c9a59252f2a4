"""A chunk of consecutive input rows: the unit of publication.

Rows of an open chunk finish in any order and are journaled. When the last one has finished, the chunk is published as
one shard of output rows and one of rejected rows, both in input order, and its journals are deleted. A straggler
therefore keeps only its own chunk open, and only open chunks are held in memory.

Each opening is a lease with journals and shards of its own. Should two workers have the same chunk, because one was
thought dead, the first to create the chunk's record has published it, and the other discards its work.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.runtime.counts import FAILED, OUTPUT, REJECTED_INPUT, Counts, Published
from synth.pipelines.runtime.lines import EndedRow, LineFormat
from synth.pipelines.runtime.stage import Rejected, Row
from synth.schemas.answers import ANSWERS, AnswerJournal, PriorAnswers, compress_answers
from synth.schemas.atomic import atomic, remove
from synth.schemas.errors import SynthError
from synth.schemas.journal import Journal, copied_journal, read_journal
from synth.schemas.layout import Journals, Workplace
from synth.schemas.shards import Shard, ShardWriter
from synth.schemas.writing.store_shelf import shelf_of

__all__ = ["Chunk", "Failure", "Trail"]

# Lines sorted and written per batch when a chunk is published.
SLICE = 8192


@dataclass(frozen=True)
class Failure:
    """An input row that failed: its processing raised, or the engine did not answer. `reason` is counted."""

    id: str
    error: str
    traceback: str
    reason: str = "failed"


class Trail(NamedTuple):
    """What workers have left of an unfinished chunk: the names of their journals, and the bytes in the largest."""

    journals: frozenset[str] = frozenset()
    size: int = 0


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
        self.number = number
        self._table = table
        self._form = form
        self._place = workplace
        self._shelf = shelf_of(workplace.out.path)
        self._waiting: list[EndedRow] = []
        self._remaining = stop - start
        self.is_open = False
        # The name of the lease under which it was opened.
        self.lease = ""

    @property
    def is_published(self) -> bool:
        return self._place.published(self.number).is_file()

    def published(self) -> Published | None:
        """The record of this published chunk; None for an open one."""
        record = self._place.published(self.number)
        return Published.read(json.loads(record.read_text())) if record.is_file() else None

    def is_whole(self, published: Published) -> bool:
        """Whether the shards are there, none of them cut off."""
        return all(map(self._shelf.is_whole, published.shards))

    def unpublish(self) -> None:
        """Undo the publication. Answers that were kept become a journal again, so no request is repeated."""
        kept = self._place.kept.answers_of(self.number)
        if kept.is_file():
            journals = self._place.journals(self.number, secrets.token_hex(4))
            journals.folder.mkdir(parents=True)
            kept.rename(journals.answers)
        self._shelf.withdraw(self._place.published(self.number))

    def open(self, prior: PriorAnswers | None = None) -> None:
        """Begin a lease: recover the rows that earlier ones finished, and take over all recorded answers."""
        self._shelf.fetch_journals(self.number)
        earlier = self._place.journals_of(self.number)
        self.lease = secrets.token_hex(4)
        self.journals = self._place.journals(self.number, self.lease)
        # Without the parents of the workplace, which are gone if the output is published by now.
        self.journals.folder.parent.mkdir(exist_ok=True)
        with atomic(self.journals.folder) as folder:
            folder.mkdir()
            furthest = max(earlier, key=Journals.size, default=None)
            if furthest:
                _copy_journals(furthest, Journals(folder))
        self.answers = AnswerJournal(self.journals.answers)
        for journals in earlier:
            if journals != furthest:
                with suppress(FileNotFoundError):
                    self.answers.carry_over(copied_journal(journals.answers, ANSWERS), are_reused=False)
            remove(journals.folder)
        if prior:
            for answers in prior.of_rows(self._table["id"].slice(self.start, self.stop - self.start)):
                self.answers.carry_over(answers, are_reused=True)
        self._journal = Journal(self.journals.rows, self._form.schema)
        self._finished = set(self._journal.recovered["_row"].to_pylist())
        self.counts = Counts.of(self._journal.recovered)
        self.outputs = self.counts.outputs
        self._remaining = self.stop - self.start - len(self._finished)
        self.is_open = True
        # Unfinished rows before the last finished one.
        self.overtaken = max(self._finished, default=self.start - 1) + 1 - self.start - len(self._finished)

    def announce(self) -> None:
        """Let those who have no access to the journals see that the lease has begun."""
        self._shelf.announce(self.journals)

    def share(self) -> None:
        """Let others go on from the journals of this closed chunk."""
        if self.lease and not self.is_lost:
            self._shelf.share((self.journals.rows, self.journals.answers))

    def adopt(self, lease: str, counts: Counts, failures: Mapping[int, Failure]) -> None:
        """Continue the lease of a worker that has closed the chunk."""
        self.lease = lease
        self.journals = self._place.journals(self.number, lease)
        self.counts, self.outputs, self.failures = counts, counts.outputs, dict(failures)

    @property
    def trail(self) -> Trail:
        """What workers have left of it."""
        sizes = self._shelf.leases(self.number)
        return Trail(frozenset(sizes), max(sizes.values(), default=0))

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
    def is_lost(self) -> bool:
        """Whether another lease has taken its journals over."""
        return not self.journals.folder.is_dir()

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
        if self.is_lost:
            self._waiting = []
            return
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
        """Of a closed chunk, write the shards; failed rows are rejected with their traceback.

        The rows from index `stop` on are left out. Creating the record publishes the chunk. If another lease has done
        so, or has taken the journals over, the work of this one is discarded. Answers are kept if `keep_answers`, and
        all journals if rows failed, so that these can be retried.
        """
        with suppress(FileNotFoundError):
            lines = self._read()
        if self.is_lost:
            return
        failures = {index: failure for index, failure in self.failures.items() if stop is None or index < stop}
        if failures:
            lines = pa.concat_tables([lines, self._failed_lines(failures)])
        if stop is not None:
            lines = lines.filter(pc.less(lines["_row"], stop))
        # From what is written rather than from what was counted on the way.
        self.counts = Counts.of(lines)
        self._require_all_rows((self.stop if stop is None else stop) - self.start)
        data, rejected = self._write_shards(lines)
        answers = self._place.answers(self.number, self.lease)
        kept = compress_answers(self.journals.answers, answers) if keep_answers else 0
        published = Published(self.counts, data, rejected, self.lease, kept)
        files = self._files(published)
        # Journals that are still there were whole when they were read.
        if self.is_lost:
            self._shelf.discard(files)
        elif self._shelf.create(self._place.published(self.number), asdict(published), files):
            self.tidy(published)
        else:
            remove(self.journals.folder)

    def _files(self, published: Published) -> list[Path]:
        """What is published of the chunk: shards, answers to keep, and the journals if rows failed."""
        files = [self._place.shards / shard.filename for shard in published.shards]
        if published.answers:
            files.append(self._place.answers(self.number, published.lease))
        if published.counts.failed:
            journals = self._place.journals(self.number, published.lease)
            files += [journals.rows, journals.answers]
        return files

    def missing(self, published: Published) -> list[Path]:
        """Those of its files that only other workers have; `tidy` them when they are here."""
        kept = self._place.kept
        journals, failed = self._place.journals(self.number, published.lease), kept.failed_journals(self.number)
        tidied = {
            self._place.answers(self.number, published.lease): kept.answers_of(self.number),
            journals.rows: failed.rows,
            journals.answers: failed.answers,
        }
        return [file for file in self._files(published) if not (file.exists() or tidied.get(file, file).exists())]

    def tidy(self, published: Published) -> None:
        """Keep of the journals what is to be kept, and remove them. It can be repeated if it was interrupted."""
        journals, kept = self._place.journals(self.number, published.lease), self._place.kept
        answers = self._place.answers(self.number, published.lease)
        if answers.is_file():
            kept.answers.path.mkdir(parents=True, exist_ok=True)
            answers.rename(kept.answers_of(self.number))
        if published.counts.failed and journals.folder.is_dir():
            _link(journals.rows, kept.failed_journals(self.number).rows)
            _link(journals.answers, kept.failed_journals(self.number).answers)
        remove(self._place.work_on(self.number))

    def _require_all_rows(self, rows: int) -> None:
        if self.counts.finished != rows:
            raise SynthError(
                f"of the {rows} rows from {self.start} on {self.counts.finished} are in their journal: nothing of them "
                "was published; repeat the command to process the others"
            )

    def _read(self) -> pa.Table:
        self._shelf.fetch((self.journals.rows, self.journals.answers))
        return read_journal(self.journals.rows, self._form.schema)

    def _failed_lines(self, failures: Mapping[int, Failure]) -> pa.Table:
        lines: list[EndedRow] = []
        for index, failure in failures.items():
            (row,) = self._table.slice(index, 1).to_pylist()
            lines.append((index, (), (FAILED, Rejected(row, failure.reason, failure.traceback)), {}))
        return pa.Table.from_batches([self._form.batch(lines)])

    def _write_shards(self, lines: pa.Table) -> tuple[Shard, Shard]:
        # A stable order. (Without NumPy, whose masked arrays would be imported: a tenth of a short run.)
        order = pc.sort_indices(lines["_row"])
        is_output = pc.equal(lines["_kind"].take(order), OUTPUT).combine_chunks()
        data = _write_shard(self._place.data(self.number, self.lease), self._form.outputs, lines, order, is_output)
        if pc.all(is_output).as_py():
            return data, Shard("", 0, 0, "")
        path = self._place.rejected(self.number, self.lease)
        return data, _write_shard(path, self._form.rejected, lines, order, pc.invert(is_output))

    def close(self) -> None:
        """Close the journals, if they are open; discards what has not been flushed."""
        if not self.is_open:
            return
        self.is_open = False
        self.answers.close()
        self._journal.close()
        del self.answers, self._journal, self._finished


def _write_shard(path: Path, schema: pa.Schema, lines: pa.Table, order: pa.Array, wanted: pa.Array) -> Shard:
    """Write the `wanted` lines in `order`, in batches that do not depend on how the lines were journaled."""
    lines = lines.select(schema.names)
    with ShardWriter(path, schema) as writer:
        for start in range(0, len(order), SLICE):
            taken = lines.take(order.slice(start, SLICE).filter(wanted.slice(start, SLICE)))
            if taken.num_rows:
                writer.write(taken.cast(schema))
        return writer.close()


def _copy_journals(source: Journals, target: Journals) -> None:
    # Rows first: whoever still writes there records the answers of a row before the row.
    for file, copy in ((source.rows, target.rows), (source.answers, target.answers)):
        with suppress(FileNotFoundError):
            shutil.copyfile(file, copy)


def _link(source: Path, target: Path) -> None:
    """Hard-link the file, so that a crash at any point leaves at least one of its names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if source.exists():
        os.link(source, target)
