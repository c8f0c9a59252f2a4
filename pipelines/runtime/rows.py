"""Runs a row stage: has its chunks processed by workers, publishes what they left open, and sums up."""

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synth.pipelines.runtime.chunk import Chunk, Failure
from synth.pipelines.runtime.chunk_worker import PUBLISHING, ChunkWorker, Task
from synth.pipelines.runtime.counts import Counts, Published
from synth.pipelines.runtime.drive import ChunkOutcome, Lease, Leases, drive
from synth.pipelines.runtime.event_loop import tuned_for_rows
from synth.pipelines.runtime.gathering import gathering, of_members
from synth.pipelines.runtime.lines import LineFormat, rejected_schema
from synth.pipelines.runtime.observation import Observer
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.progress import reports_of_slices
from synth.pipelines.runtime.shared import Backends
from synth.pipelines.runtime.shutdown import Stopping, unwritable
from synth.pipelines.runtime.spending import Spending
from synth.pipelines.runtime.stage import RowStage, row_schemas
from synth.schemas.atomic import write_json
from synth.schemas.errors import Partial
from synth.schemas.layout import PartialLayout
from synth.schemas.phrases import plural
from synth.schemas.shards import Shard
from synth.schemas.slices import Slice
from synth.schemas.writing.store_shelf import shelf_of

if TYPE_CHECKING:
    from synth.pipelines.runtime.cluster.crew import RayCrew

__all__ = ["Finished", "RowRun"]

REPORT_SECONDS = 0.5
# How many chunks there are, as far as the limits of their rows allow.
CHUNKS_WANTED = 64
FEWEST_ROWS, MOST_ROWS = 16, 4096
# How often a slice looks, at most, what the others have spent.
BUDGET_SECONDS = 5.0


@dataclass(frozen=True)
class Finished:
    """The result of a completed stage: counts over the first `rows` of its input, the shards written, and what it cost.

    `start_seconds` of this execution went by until the engine was ready. `gpus` are those of each worker, None if
    unknown; `sandbox` is its record, None if no jail was started; `software` is what workers used.
    """

    rows: int
    counts: Counts
    data: list[Shard]
    rejected: list[Shard]
    spent: Spending = field(default_factory=Spending)
    start_seconds: float = 0.0
    gpus: int | None = 0
    sandbox: Mapping[str, Any] | None = None
    software: Mapping[str, str] = field(default_factory=dict)

    def with_slices(self, facts: Sequence[Mapping[str, Any]]) -> "Finished":
        """With what the slices held, as far as this execution held nothing, because they had left nothing to do.

        And with the software of all.
        """
        used = {name: version for one in facts for name, version in one["software"].items()}
        gpus = next((one["gpus"] for one in facts if one["gpus"] is not None), None)
        sandbox = next((one["sandbox"] for one in facts if one["sandbox"]), None)
        held = self.gpus if self.gpus is not None else gpus
        return replace(self, gpus=held, sandbox=self.sandbox or sandbox, software={**used, **self.software})


def _crew(task: Task, table: pa.Table, stopping: Stopping) -> "ChunkWorker | RayCrew":
    """All workers of a run: the only one on this machine, or those on a cluster."""
    on, part = task.options.on, task.options.slice
    if on is None:
        name = task.layout.slice(part).path.name if part else "local"
        return ChunkWorker(task, table, stopping, name)
    from synth.pipelines.runtime.cluster.crew import RayCrew

    return RayCrew(task, table, stopping, on.partition(":")[2] or None, task.options.workers)


def rows_of_a_chunk(rows: int) -> int:
    """A power of two that depends on the number of all rows only, never on that of workers.

    A few rows are enough chunks for many workers to share them, and the chunks of many rows are large, because each
    costs some milliseconds.
    """
    wanted = max(1, rows // CHUNKS_WANTED)
    return min(max(1 << (wanted - 1).bit_length(), FEWEST_ROWS), MOST_ROWS)


class RowRun:
    """One execution of a row stage over a table.

    Ctrl-C stops admission and gives the rows in progress five seconds; a second Ctrl-C cancels them at once.
    """

    def __init__(
        self,
        stage: RowStage,
        table: pa.Table,
        layout: PartialLayout,
        backends: Backends,
        options: Options,
        chunk_rows: int,
        observe: Observer,
    ) -> None:
        self._layout = layout
        self._options = options
        self._observe = observe
        inputs, outputs = row_schemas(stage, table)
        rejected = rejected_schema(inputs, outputs, raw=options.rejects_bad_rows, asks=backends.engine is not None)
        form = LineFormat(outputs, rejected)
        form.save(layout.form)
        # All rows of the input, if they are gathered into one, and how many of them each row is.
        self._members = table if stage.gathers else None
        self._each = int(table.num_rows) if stage.gathers else 1
        if stage.gathers:
            table = gathering(table, stage.name.rpartition(" ")[2])
        task = Task(stage, backends, layout, options, form, chunk_rows)
        # Rows of the table, and how many of them, from the first, the output covers: fewer if `until` ends it early.
        self._input_rows = self._rows = int(table.num_rows)
        # All chunks, or those of the slice, by number.
        numbers = range(-(-self._input_rows // chunk_rows))
        part = options.slice
        self._chunks = {number: task.chunk(number, table) for number in numbers if part is None or part.has(number)}
        # The rows that are to be processed.
        self.rows = sum(chunk.stop - chunk.start for chunk in self._chunks.values())
        # Chunks that a worker has at a time: those of its rows in flight, and those being published.
        self._depth = min(-(-options.in_flight // chunk_rows) + PUBLISHING, len(self._chunks))
        # Chunks that workers left open, because of failures, `until` or the end of the run.
        self._open: dict[int, Chunk] = {}
        # Of published and open chunks.
        self._settled = Counts()
        self._stopping = Stopping(layout.path)
        self._crew = _crew(task, table, self._stopping)

    @property
    def engine_seconds(self) -> float:
        """Seconds for which the workers of this execution have held engines or reward models."""
        return self._crew.engine_seconds

    def run(self) -> Finished:
        """Run all rows. Raises `Interrupted`, `EngineFailed`, `BudgetSpent`, or `Partial` when too many rows failed.

        After any of these, the next execution in the same directory resumes.
        """
        self._run_chunks()
        shelf_of(self._layout.out.path).update()
        chunks = [chunk for chunk in self._chunks.values() if chunk.start < self._rows]
        finished = {chunk: published for chunk in chunks if (published := chunk.published())}
        self._gather(finished)
        total = Counts()
        for published in finished.values():
            total.add(published.counts)
        kept = self._layout.kept
        if total.failed:
            records = [asdict(published.settled()) for published in finished.values()]
            write_json(kept.failed_chunks, {"chunks": records})
        else:
            # Left by chunks that have since been processed again.
            shutil.rmtree(kept.failed, ignore_errors=True)
        data = [published.data for published in finished.values()]
        rejected = [published.rejected for published in finished.values() if published.rejected.rows]
        spent = Spending.recorded(self._layout.all_spending())
        crew = self._crew
        rows = self._rows
        if self._members is not None:
            rows, total = self._each, of_members(total, rejected, self._members, self._layout)
        return Finished(rows, total, data, rejected, spent, crew.start_seconds, crew.gpus, crew.sandbox, crew.software)

    def _gather(self, finished: Mapping[Chunk, Published]) -> None:
        """Bring the files of chunks here that other workers have published."""
        missing = {chunk: files for chunk, published in finished.items() if (files := chunk.missing(published))}
        shelf_of(self._layout.out.path).fetch(file for files in missing.values() for file in files)
        for chunk in missing:
            chunk.tidy(finished[chunk])

    def run_slice(self) -> Counts:
        """Run the rows of the slice. Raises as `run`, and `Partial` if any row failed."""
        self._run_chunks()
        return self._settled

    def slice_facts(self) -> dict[str, Any]:
        """What those who sum up all slices need: the rows of the whole input, and what the slice has used."""
        crew = self._crew
        assert isinstance(crew, ChunkWorker)
        return {
            "input_rows": self._input_rows,
            "tokens": crew.tokens,
            "gpus": crew.gpus,
            "sandbox": crew.sandbox,
            "software": crew.software,
        }

    def _run_chunks(self) -> None:
        try:
            asyncio.run(self._run())
        except OSError as error:
            raise unwritable(self._layout.path, error) from error

    async def _run(self) -> None:
        self._leases = self._restored()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(PUBLISHING))
        with self._stopping.on_signals(self._crew.end_rows), tuned_for_rows():
            # First, so that what it writes twice a second is reported then.
            await self._crew.start()
            background = [asyncio.create_task(self._report_often()), asyncio.create_task(self._end_when_stopped())]
            if self._options.slice and self._options.budget_tokens:
                background.append(asyncio.create_task(self._share_budget(self._options.slice)))
            for task in background:
                task.add_done_callback(self._stopping.stop_at_fault)
            try:
                await drive(self._leases, self._crew.workers, self._depth, self._settle)
            finally:
                for task in background:
                    task.cancel()
                await self._crew.close()
            self._publish_open_chunks()
        self._report()
        if self._stopping.reason:
            raise self._stopping.reason

    def _restored(self) -> Leases:
        """Take over the chunks that an earlier run published; the leases of the others."""
        unpublished = []
        for chunk in self._chunks.values():
            published = chunk.published()
            if published and not chunk.is_whole(published):
                logging.getLogger("synth").warning(
                    "a shard of rows %d to %d is incomplete; processing these rows again", chunk.start, chunk.stop - 1
                )
                chunk.unpublish()
                published = None
            if published:
                chunk.tidy(published)
                chunk.counts = published.counts
                self._settled.add(published.counts)
            else:
                unpublished.append(chunk.number)
        return Leases(unpublished, self._lease, lambda number: self._chunks[number].trail)

    def _lease(self, number: int) -> Lease:
        if self._options.until is None:
            return Lease(number)
        before = [chunk.counts for chunk in self._chunks.values() if chunk.number < number]
        return Lease(number, sum(counts.finished for counts in before), sum(counts.outputs for counts in before))

    def _settle(self, outcome: ChunkOutcome) -> None:
        chunk = self._chunks[outcome.chunk]
        chunk.adopt(outcome.journals, outcome.counts, outcome.failures)
        chunk.add_to(self._settled)
        if not outcome.is_published:
            self._open[outcome.chunk] = chunk
        if self._options.until is not None and not outcome.is_done:
            # Its rows are enough, together with those before it.
            self._leases.end(after=outcome.chunk)

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        seen = self._crew.observe()
        counts = Counts()
        counts.add(self._settled)
        counts.add(seen.counts)
        self._observe(replace(seen, rows=self.rows, counts=counts))

    async def _share_budget(self, part: Slice) -> None:
        """Tell the worker what other slices spend, because the budget is that of the whole output."""
        assert isinstance(self._crew, ChunkWorker)
        before = Spending.recorded(self._layout.all_spending()).tokens - self._crew.tokens

        def reported() -> int:
            reports = reports_of_slices(self._layout).items()
            return sum(report["slice"]["tokens"] for one, report in reports if one != part)

        before -= reported()
        while True:
            # All slices together read so many files a second, whatever their number.
            await asyncio.sleep(max(BUDGET_SECONDS, part.of / 10))
            self._crew.spent_elsewhere(before + reported())

    async def _end_when_stopped(self) -> None:
        await self._stopping.wait()
        self._leases.end()

    def _publish_open_chunks(self) -> None:
        """Publish the chunks that workers left open, unless the run stops or too many rows failed."""
        if self._stopping.reason:
            return
        self._rows = self._rows_wanted()
        open_chunks = [chunk for number, chunk in sorted(self._open.items()) if chunk.start < self._rows]
        failures = [failure for chunk in open_chunks for index, failure in chunk.failures.items() if index < self._rows]
        # What the whole output may have, a slice cannot know.
        allowed = 0 if self._options.slice else self._options.max_failures
        if len(failures) * self._each > allowed:
            self._stopping.stop(self._partial(failures))
            return
        for chunk in open_chunks:
            stop = self._rows if self._rows < chunk.stop else None
            chunk.publish(stop=stop, keep_answers=self._options.keep_answers)

    def _rows_wanted(self) -> int:
        """How many input rows, from the first, the output covers: all, or as many as yield `until` output rows."""
        if self._options.until is None:
            return self._input_rows
        wanted = self._options.until
        for chunk in self._chunks.values():
            if wanted <= 0:
                return chunk.start
            if chunk.number in self._open and chunk.counts.outputs >= wanted:
                return chunk.row_of_output(wanted) + 1
            if chunk.number not in self._open and chunk.counts.finished < chunk.stop - chunk.start:
                # An earlier run cut it at its own end.
                return chunk.start + chunk.counts.finished
            wanted -= chunk.counts.outputs
        return self._input_rows

    def _partial(self, failures: list[Failure]) -> Partial:
        layout, part = self._layout, self._options.slice
        log = (layout.slice(part) if part else layout).failures
        write_json(log, {"failed": list(map(asdict, failures))})
        reasons = Counter({reason: n * self._each for reason, n in Counter(one.reason for one in failures).items()})
        named = "" if reasons.keys() == {"failed"} else f" ({', '.join(f'{name} {n}' for name, n in reasons.items())})"
        first = failures[0]
        what = (
            f"{reasons.total()} of {plural(self.rows * self._each, 'row')}{f' of slice {part}' if part else ''} "
            f"failed{named}, the first is {first.id} ({first.error})"
        )
        if part:
            return Partial(
                f"{what}: their chunks stay open, {log} has the details; repeat the command to retry them, as the "
                "command without --slice does, too, to which --max-failures applies"
            )
        return Partial(
            f"{what}: nothing was published, {log} has the details; "
            "repeat the command to retry them, or allow them with --max-failures"
        )
