"""Runs a row stage: thousands of concurrent row coroutines, so that the engine never waits for a batch to end."""

import asyncio
import logging
import shutil
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synth.pipelines.engines import Engine
from synth.pipelines.engines.reward import RewardModel
from synth.pipelines.retrieval.lookup import DocumentIndex
from synth.pipelines.runtime.chunk import Chunk, Failure
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.event_loop import tuned_for_rows, uninterrupted
from synth.pipelines.runtime.lines import LineFormat, rejected_schema
from synth.pipelines.runtime.observation import Observation, Observer
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.outcomes import last_replies
from synth.pipelines.runtime.shared import SharedBackend, SharedEngine, shared_sandbox
from synth.pipelines.runtime.shutdown import Stopping, unwritable
from synth.pipelines.runtime.spending import Ledger, Spending
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Unanswered, row_schemas
from synth.pipelines.runtime.tools import Tools
from synth.schemas.answers import PriorAnswers, key_of
from synth.schemas.atomic import write_json
from synth.schemas.errors import Partial, SynthError
from synth.schemas.layout import PartialLayout
from synth.schemas.phrases import plural
from synth.schemas.shards import Shard

if TYPE_CHECKING:
    from synth.sandbox.pool import Sandbox

__all__ = ["Finished", "RowRun"]

# Chunks published concurrently. Each is held in memory, and the GIL leaves little to gain from more.
PUBLISHING = 2
FLUSH_SECONDS = 0.5
# Rows after which a worker yields to the event loop, in case its engine never waits.
TURN_ROWS = 64


@dataclass(frozen=True)
class Finished:
    """The result of a completed stage: counts over the first `rows` of its input, the shards written, and what it cost.

    `start_seconds` of this execution went by until the engine was ready.
    """

    rows: int
    counts: Counts
    data: list[Shard]
    rejected: list[Shard]
    spent: Spending = field(default_factory=Spending)
    start_seconds: float = 0.0


class RowRun:
    """One execution of a row stage over a table.

    `in_flight` workers take rows in input order, across chunk boundaries, and process one row each. Ctrl-C stops
    admission and gives the rows in progress five seconds; a second Ctrl-C cancels them at once.
    """

    def __init__(
        self,
        stage: RowStage,
        table: pa.Table,
        layout: PartialLayout,
        engine: Engine | None,
        sandbox: "Sandbox | None",
        index: DocumentIndex | None,
        scorer: RewardModel | None,
        options: Options,
        observe: Observer,
    ) -> None:
        self._stage = stage
        self._layout = layout
        self._options = options
        self._observe = observe
        self._keeps_answers = options.keep_answers
        self._prior = PriorAnswers(journals) if (journals := layout.prior_answers()) else None
        self._model = str(engine.identity().get("model") if engine else None)
        self._seed = f"{options.seed}\x00{stage.name}"
        inputs, outputs = row_schemas(stage, table)
        rejected = rejected_schema(inputs, outputs, raw=options.rejects_bad_rows, asks=engine is not None)
        self._outputs = set(outputs.names)
        form = LineFormat(outputs, rejected)
        form.save(layout.form)
        starts = range(0, table.num_rows, options.chunk_rows)
        self._chunks = [
            Chunk(number, table, start, min(start + options.chunk_rows, table.num_rows), form, layout)
            for number, start in enumerate(starts)
        ]
        self._published = Counts()
        # In input order.
        self._open: list[Chunk] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._rows_in_progress = 0
        self._overtaken = 0
        # Rows of the input, and how many of them, from the first, the output covers: fewer if `until` ends it early.
        self._input_rows = self._rows = int(table.num_rows)
        self._stopping = Stopping(layout.path)
        self._ledger = Ledger(layout.spending)
        self._shared = SharedEngine(engine, options.budget_tokens, self._ledger.total) if engine else None
        self._programs = shared_sandbox(sandbox) if sandbox else None
        self._index = SharedBackend(index, key_of(index.identity())) if index else None
        self._scorer = SharedBackend(scorer, key_of(scorer.identity())) if scorer else None

    @property
    def engine_seconds(self) -> float:
        """Seconds for which this execution has held the engine or the reward model."""
        return sum(held.seconds for held in (self._shared, self._scorer) if held)

    def run(self) -> Finished:
        """Run all rows. Raises `Interrupted`, `EngineFailed`, `BudgetSpent`, or `Partial` when too many rows failed.

        After any of these, the next execution in the same directory resumes.
        """
        try:
            asyncio.run(self._run())
        except OSError as error:
            raise unwritable(self._layout.path, error) from error
        total = Counts()
        records, data, rejected = [], [], []
        for chunk in self._chunks:
            if chunk.start < self._rows and (published := chunk.published()):
                total.add(published.counts)
                data.append(published.data)
                rejected.append(published.rejected)
                records.append(asdict(published.settled()))
        kept = self._layout.kept
        if total.failed:
            write_json(kept.failed_chunks, {"chunks": records})
        else:
            # Left by chunks that have since been processed again.
            shutil.rmtree(kept.failed, ignore_errors=True)
        rejected = [shard for shard in rejected if shard.rows]
        start_seconds = self._shared.start_seconds if self._shared else 0.0
        return Finished(self._rows, total, data, rejected, self._ledger.total, start_seconds)

    async def _run(self) -> None:
        for chunk in self._chunks:
            if (published := chunk.published()) and not chunk.is_whole(published):
                logging.getLogger("synth").warning(
                    "a shard of rows %d to %d is incomplete; processing these rows again", chunk.start, chunk.stop - 1
                )
                chunk.unpublish()
            elif published:
                chunk.tidy(published)
                chunk.counts = published.counts
                self._published.add(published.counts)
        pending = self._pending()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(PUBLISHING))
        with self._stopping.on_signals(self._end_rows), tuned_for_rows():
            ticking = asyncio.create_task(self._tick())
            ticking.add_done_callback(self._worker_ended)
            try:
                await self._work(pending)
            finally:
                ticking.cancel()
                for backend in self._backends():
                    await backend.close()
                self._publish_or_close()
        self._report()
        if self._stopping.reason:
            raise self._stopping.reason

    def _pending(self) -> Iterator[tuple[Chunk, int, Row]]:
        """The unfinished rows in input order; opens each chunk when its first row is taken."""
        for chunk in self._chunks:
            if chunk.is_published:
                continue
            chunk.open(self._prior)
            self._open.append(chunk)
            self._overtaken = chunk.overtaken
            for index, row in chunk.pending():
                self._overtaken -= 1
                yield chunk, index, row

    async def _work(self, pending: Iterator[tuple[Chunk, int, Row]]) -> None:
        """Process all pending rows; once the run is stopped, only those in progress, within the grace period."""
        for _ in range(min(self._options.in_flight, self._input_rows, self._options.until or self._input_rows)):
            task = asyncio.create_task(self._worker(pending))
            self._workers.add(task)
            task.add_done_callback(self._worker_ended)
        ended = asyncio.create_task(asyncio.wait(self._workers))
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._workers:
            engine_answers = self._shared is None or self._shared.is_ready
            await asyncio.wait(self._workers, timeout=self._stopping.grace(engine_answers=engine_answers))
        while self._workers:
            # Repeatedly: a cancellation can be lost to that of a request that times out at the same moment.
            self._end_rows()
            await asyncio.wait(self._workers, timeout=0.5)
        await ended

    def _end_rows(self) -> None:
        for task in self._workers:
            task.cancel()

    async def _worker(self, pending: Iterator[tuple[Chunk, int, Row]]) -> None:
        rows, until = 0, self._options.until
        while (until is None and self._stopping.reason is None) or await self._wants_more():
            if (taken := next(pending, None)) is None:
                return
            chunk, index, row = taken
            self._rows_in_progress += 1
            try:
                await self._row(chunk, index, row)
            finally:
                self._rows_in_progress -= 1
            rows += 1
            if rows % TURN_ROWS == 0:
                await asyncio.sleep(0)
            if chunk.is_done:
                await self._publish_finished()

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        # `_row` records the errors of rows. Any other is a fault of the runner, and stops the run.
        if not task.cancelled() and (fault := task.exception()):
            self._stopping.stop(fault)

    async def _wants_more(self) -> bool:
        """Whether to start another row. Waits while the rows in progress are likely to reach `until`."""
        until = self._options.until
        while not self._stopping.reason:
            # An earlier run may have finished rows that follow an unfinished one.
            if until is None or self._overtaken > 0:
                return True
            outputs = self._published.outputs + sum(chunk.outputs for chunk in self._open)
            if outputs >= until:
                # A flush finds rows whose values do not fit their columns; these have no outputs.
                for chunk in self._open:
                    self._flush(chunk)
                if self._published.outputs + sum(chunk.outputs for chunk in self._open) >= until:
                    return False
            finished = self._published.finished + sum(chunk.counts.finished for chunk in self._open)
            per_row = outputs / finished if finished else 1.0
            if outputs + self._rows_in_progress * per_row < until:
                return True
            await asyncio.sleep(0.2)
        return False

    async def _row(self, chunk: Chunk, index: int, row: Row) -> None:
        """Process one row and record its result or error."""
        row_id: str = row["id"]
        backends = (self._shared, self._programs, self._index, self._scorer)
        tools = Tools(row_id, self._seed, self._model, *backends, chunk.answers)
        items: list[Row | Rejected] = []
        outputs = 0
        # A worker processes many rows.
        last_replies.set(())
        try:
            async for item in self._stage.process(row, tools):
                if isinstance(item, Rejected):
                    self._check(item.row, row_id)
                else:
                    self._check(item, row_id)
                    outputs += 1
                items.append(item)
            if not outputs:
                raise ValueError("the stage yielded neither an output row nor a reason")
        except Unanswered as unanswered:
            chunk.fail(index, Failure(row_id, unanswered.detail, unanswered.detail, unanswered.reason))
        except Reject as reject:
            if outputs:
                chunk.fail(index, _failure(row_id, ValueError("the stage rejected a row after it had yielded output")))
            else:
                chunk.reject(index, Rejected.because(reject, row), items, tools.tallies)
        except SynthError as error:
            self._stopping.stop(error)
        except Exception as error:
            chunk.fail(index, _failure(row_id, error))
        else:
            chunk.finish(index, items, outputs, tools.tallies)

    def _check(self, output: Row, row_id: str) -> None:
        if not output.keys() <= self._outputs:
            raise ValueError(f"the stage yielded undeclared columns: {sorted(output.keys() - self._outputs)}")
        if not (output["id"] == row_id or output["id"].startswith(f"{row_id}/")):
            raise ValueError(f"the output id {output['id']!r} does not start with the input id {row_id!r}")

    async def _publish_finished(self) -> None:
        while chunk := next(filter(self._may_be_published, self._open), None):
            self._open.remove(chunk)
            self._published.add(chunk.counts)
            publishing = asyncio.to_thread(chunk.publish, keep_answers=self._keeps_answers)
            await uninterrupted(asyncio.create_task(publishing))

    def _may_be_published(self, chunk: Chunk) -> bool:
        """Whether a chunk is final. Failures wait for `max_failures`, which applies to the whole run."""
        if not chunk.is_done or self._stopping.reason:
            return False
        self._flush(chunk)
        if chunk.failures or self._stopping.reason:
            return False
        # The chunk that reaches `until` is cut after that output when the run ends.
        until = self._options.until
        return until is None or (chunk is self._open[0] and self._published.outputs + chunk.counts.outputs < until)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            for chunk in self._open:
                self._flush(chunk)
            self._report()

    def _flush(self, chunk: Chunk) -> None:
        try:
            # First, so that no answer is recorded whose tokens are not.
            self._ledger.flush()
            chunk.flush()
        except OSError as error:
            self._stopping.stop(error)

    def _backends(self) -> list[SharedBackend[Any, Any]]:
        backends: list[SharedBackend[Any, Any] | None] = [self._shared, self._programs, self._index, self._scorer]
        return list(filter(None, backends))

    def _report(self) -> None:
        counts = Counts()
        counts.add(self._published)
        for chunk in self._open:
            chunk.add_to(counts)
        phases = [backend.phase for backend in self._backends() if backend.phase]
        self._observe(
            Observation(
                self._input_rows,
                counts,
                phase=", ".join(phases) or None,
                answers=self._shared.answered if self._shared else 0,
                tokens=self._shared.tokens if self._shared else 0,
                verdicts=self._programs.answered if self._programs else 0,
                searches=self._index.answered if self._index else 0,
                scores=self._scorer.answered if self._scorer else 0,
                in_flight=sum(backend.in_flight for backend in self._backends()),
            )
        )

    def _publish_or_close(self) -> None:
        """Publish the chunks that waited because of failures or `until`; close those of a stopped run."""
        for chunk in self._open:
            self._flush(chunk)
        if self._stopping.reason is None:
            self._rows = self._rows_wanted()
            failures = [
                failure for chunk in self._open for index, failure in chunk.failures.items() if index < self._rows
            ]
            if len(failures) > self._options.max_failures:
                self._stopping.stop(self._partial(failures))
        for chunk in self._open:
            if self._stopping.reason or chunk.start >= self._rows:
                chunk.close()
            else:
                stop = self._rows if self._rows < chunk.stop else None
                chunk.publish(stop=stop, keep_answers=self._keeps_answers)
        self._ledger.close()

    def _rows_wanted(self) -> int:
        """How many input rows, from the first, the output covers: all, or as many as yield `until` output rows."""
        if self._options.until is None:
            return self._input_rows
        wanted = self._options.until
        for chunk in self._chunks:
            if chunk in self._open and chunk.counts.outputs >= wanted:
                return chunk.row_of_output(wanted) + 1
            if chunk not in self._open and chunk.counts.finished < chunk.stop - chunk.start:
                # An earlier run cut it at its own end.
                return chunk.start + chunk.counts.finished
            wanted -= chunk.counts.outputs
        return self._input_rows

    def _partial(self, failures: list[Failure]) -> Partial:
        log = self._layout.failures
        write_json(log, {"failed": list(map(asdict, failures))})
        reasons = Counter(one.reason for one in failures)
        named = "" if reasons.keys() == {"failed"} else f" ({', '.join(f'{name} {n}' for name, n in reasons.items())})"
        first = failures[0]
        return Partial(
            f"{len(failures)} of {plural(self._input_rows, 'row')} failed{named}, the first is {first.id} "
            f"({first.error}): nothing was published, {log} has the details; "
            "repeat the command to retry them, or allow them with --max-failures"
        )


def _failure(row_id: str, error: BaseException) -> Failure:
    return Failure(row_id, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))
