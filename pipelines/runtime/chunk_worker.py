"""Processes the rows of the chunks that it is handed: thousands at a time, so that the engine never waits for a batch.

It knows neither signals nor other workers.
"""

import asyncio
import traceback
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import pyarrow as pa

from synth.pipelines.runtime.chunk import Chunk, Failure
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.drive import ChunkOutcome, Lease, WorkerLost
from synth.pipelines.runtime.event_loop import uninterrupted
from synth.pipelines.runtime.lines import LineFormat
from synth.pipelines.runtime.observation import Observation
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.outcomes import last_completions
from synth.pipelines.runtime.shared import Backends
from synth.pipelines.runtime.shutdown import Stopping
from synth.pipelines.runtime.software import software
from synth.pipelines.runtime.spending import Ledger, Spending
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Unanswered
from synth.pipelines.runtime.tools import Tools
from synth.schemas.answers import PriorAnswers
from synth.schemas.errors import SynthError
from synth.schemas.layout import PartialLayout
from synth.schemas.writing.store_shelf import shelf_of

__all__ = ["PUBLISHING", "ChunkWorker", "Task"]

# Chunks published concurrently. Each is held in memory, and the GIL leaves little to gain from more.
PUBLISHING = 2
FLUSH_SECONDS = 0.5
# Rows after which a coroutine yields to the event loop, in case its engine never waits.
TURN_ROWS = 256


@dataclass(frozen=True)
class Task:
    """What a worker needs to know of a run, except the rows. It pickles."""

    stage: RowStage
    backends: Backends
    layout: PartialLayout
    options: Options
    form: LineFormat
    chunk_rows: int

    def chunk(self, number: int, table: pa.Table) -> Chunk:
        """A chunk of the whole input `table`."""
        start = number * self.chunk_rows
        return Chunk(number, table, start, min(start + self.chunk_rows, table.num_rows), self.form, self.layout)


@dataclass(eq=False)
class _Held:
    """A chunk that is worked on. With `until`, also the chunks before it that were when it was leased."""

    lease: Lease
    chunk: Chunk
    before: list[Chunk]
    rows: Iterator[tuple[int, Row]] | None = None
    overtaken: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    announced: asyncio.Task[bool] | None = None


class ChunkWorker:
    """Up to `in_flight` coroutines take rows in the order of the input, and process one row each.

    When it is `stopping`, the rows in progress get a grace period, and the chunks stay open. `name` is that of its
    ledger.
    """

    def __init__(self, task: Task, table: pa.Table, stopping: Stopping, name: str = "local") -> None:
        self._task = task
        self._table = table
        self._stopping = stopping
        options, layout = task.options, task.layout
        self._until = options.until
        self._at_once = min(options.in_flight, options.until or options.in_flight)
        self._prior = PriorAnswers(journals) if (journals := layout.prior_answers()) else None
        engine = task.backends.engine
        self._model = str(engine.identity().get("model") if engine else None)
        self._seed = f"{options.seed}\x00{task.stage.name}"
        self._outputs = frozenset(task.form.outputs.names)
        self._shelf = shelf_of(layout.out.path)
        self._ledger = Ledger(layout.spending(name))
        self._shared = task.backends.shared(options.budget_tokens, self._ledger.total)
        if options.budget_tokens:
            self.spent_elsewhere(Spending.recorded(layout.all_spending()).tokens - self._ledger.total.tokens)
        self._held: list[_Held] = []
        # Those of them that have rows to begin with, in input order, in which leases need not come.
        self._waiting: list[_Held] = []
        self._rows: set[asyncio.Task[None]] = set()
        self._rows_in_progress = 0
        self._background: list[asyncio.Task[None]] = []
        self._sharing = Lock()

    @property
    def workers(self) -> Sequence["ChunkWorker"]:
        """Of a run on this machine, it is the only one."""
        return (self,)

    @property
    def tokens(self) -> int:
        """The tokens in its ledger, and those to be written there."""
        return self._ledger.total.tokens

    @property
    def sandbox(self) -> dict[str, Any] | None:
        """The record of the sandbox; None if no program was run."""
        sandbox = self._task.backends.sandbox
        return sandbox.record() if sandbox else None

    @property
    def software(self) -> Mapping[str, str]:
        return software()

    @property
    def gpus(self) -> int | None:
        return self._task.backends.gpus

    @property
    def engine_seconds(self) -> float:
        return self._shared.engine_seconds

    @property
    def has_had_an_engine(self) -> bool:
        """Whether an engine of this process, and not a server, has been ready to answer."""
        engine = self._task.backends.engine
        return bool(engine and engine.gpus_wanted is not None and self._shared.engine and self._shared.engine.is_ready)

    @property
    def start_seconds(self) -> float:
        """Seconds until the engine was ready."""
        return self._shared.engine.start_seconds if self._shared.engine else 0.0

    def spent_elsewhere(self, tokens: int) -> None:
        """How much of the budget others have spent."""
        if self._shared.engine:
            self._shared.engine.spent_elsewhere = tokens

    def observe(self) -> Observation:
        """What can be seen of the chunks that it works on, and of its backends."""
        counts = Counts()
        for of_chunk in self.open_counts().values():
            counts.add(of_chunk)
        return self._shared.observation(int(self._table.num_rows), counts)

    def open_counts(self) -> dict[int, Counts]:
        """The counts of the chunks that it works on."""
        counts = {}
        for held in self._held:
            counts[held.lease.chunk] = Counts()
            held.chunk.add_to(counts[held.lease.chunk])
        return counts

    async def start(self) -> None:
        self._background = [asyncio.create_task(self._flush_often()), asyncio.create_task(self._end_when_stopped())]
        for task in self._background:
            task.add_done_callback(self._stopping.stop_at_fault)

    async def ready(self) -> None:
        """It is; its backends start when a row needs them."""

    async def work(self, lease: Lease) -> ChunkOutcome:
        """Process the rows of a chunk. It is published, unless rows failed or the run ends at a number of outputs."""
        before = [held.chunk for held in self._held if self._until and held.lease.chunk < lease.chunk]
        held = _Held(lease, self._task.chunk(lease.chunk, self._table), before)
        self._held.append(held)
        insort(self._waiting, held, key=lambda held: held.lease.chunk)
        self._begin_rows()
        chunk = held.chunk
        try:
            await held.ended.wait()
        finally:
            self._flush(chunk)
            chunk.close()
        try:
            if held.announced:
                await held.announced
            if chunk.is_done and not chunk.failures and self._until is None:
                await self._publish(chunk)
            await self._in_a_thread(self._hand_on, chunk)
            return ChunkOutcome(
                lease.chunk, chunk.lease, chunk.counts, chunk.is_published, chunk.is_done, chunk.failures
            )
        finally:
            self._held.remove(held)

    async def close(self) -> None:
        """Ends the backends; no chunk is worked on any more."""
        for task in (*self._background, *self._rows):
            task.cancel()
        await asyncio.gather(*self._background, *self._rows, return_exceptions=True)
        await self._shared.close()
        self._ledger.close()
        await self._in_a_thread(self._shelf.share, [self._ledger.path])

    def end_rows(self) -> None:
        """Cancel the rows in progress."""
        for task in self._rows:
            task.cancel()

    async def _publish(self, chunk: Chunk) -> None:
        publish = partial(chunk.publish, keep_answers=self._task.options.keep_answers)
        if await self._in_a_thread(publish) and not chunk.is_published:
            raise WorkerLost("another worker took its chunk over")

    def _hand_on(self, chunk: Chunk) -> None:
        """Let others see what they need of a chunk that has ended, or is left open."""
        if not chunk.is_published:
            chunk.share()
        # One after the other, so that the last one is there in the end.
        with self._sharing:
            self._shelf.share([self._ledger.path])

    async def _in_a_thread(self, function: Callable[..., None], *arguments: Any) -> bool:
        """Whether the function could be carried out; if not, the run stops."""
        try:
            await uninterrupted(asyncio.create_task(asyncio.to_thread(function, *arguments)))
        except Exception as fault:
            self._stopping.stop(fault)
            return False
        return True

    def _begin_rows(self) -> None:
        """Start another coroutine, if there is room for it. Once it has a row, it starts the next one.

        An engine that answers at once needs few of them for a chunk, and not thousands.
        """
        if len(self._rows) < self._at_once:
            task = asyncio.create_task(self._process_rows())
            self._rows.add(task)
            task.add_done_callback(self._rows_ended)

    def _rows_ended(self, task: asyncio.Task[None]) -> None:
        """No more rows from this coroutine; does nothing the second time."""
        if task in self._rows:
            self._rows.remove(task)
            if not self._rows:
                self._end_held()

    def _end_held(self) -> None:
        """No row is in progress, and none is to be begun."""
        self._waiting.clear()
        for held in self._held:
            held.ended.set()

    async def _process_rows(self) -> None:
        try:
            await self._process_waiting_rows()
        except Exception as fault:
            # `_row` records the errors of rows.
            self._stopping.stop(fault)
        finally:
            # At once, so that a chunk that comes now gets coroutines of its own.
            if task := asyncio.current_task():
                self._rows_ended(task)

    async def _process_waiting_rows(self) -> None:
        rows = 0
        while (self._until is None and self._stopping.reason is None) or await self._wants_more():
            if (taken := self._next_row()) is None:
                return
            held, index, row = taken
            if not rows:
                self._begin_rows()
            self._rows_in_progress += 1
            try:
                await self._row(held.chunk, index, row)
            finally:
                self._rows_in_progress -= 1
            if held.chunk.is_done:
                held.ended.set()
            rows += 1
            if rows % TURN_ROWS == 0:
                await asyncio.sleep(0)

    def _next_row(self) -> tuple[_Held, int, Row] | None:
        """The next row in the order of the input; opens a chunk when its first row is taken."""
        while self._waiting:
            held = self._waiting[0]
            if held.rows is None:
                held.chunk.open(self._prior)
                held.rows = held.chunk.pending()
                held.overtaken = held.chunk.overtaken
                held.announced = asyncio.create_task(self._in_a_thread(held.chunk.announce))
            if (taken := next(held.rows, None)) is not None:
                held.overtaken -= 1
                return held, *taken
            self._waiting.pop(0)
            if held.chunk.is_done:
                held.ended.set()
        return None

    async def _wants_more(self) -> bool:
        """Whether to start another row. Waits while the rows in progress are likely to reach `until`."""
        while not self._stopping.reason:
            # An earlier run may have finished rows that follow an unfinished one.
            if self._until is None or not self._waiting or self._waiting[0].overtaken > 0:
                return True
            held = self._waiting[0]
            chunks = [*held.before, held.chunk]
            outputs = held.lease.outputs + sum(chunk.outputs for chunk in chunks)
            if outputs >= self._until:
                # A flush finds rows whose values do not fit their columns; these have no outputs.
                for one in self._held:
                    self._flush(one.chunk)
                if held.lease.outputs + sum(chunk.outputs for chunk in chunks) >= self._until:
                    return False
            finished = held.lease.finished + sum(chunk.counts.finished for chunk in chunks)
            per_row = outputs / finished if finished else 1.0
            if outputs + self._rows_in_progress * per_row < self._until:
                return True
            await asyncio.sleep(0.2)
        return False

    async def _row(self, chunk: Chunk, index: int, row: Row) -> None:
        """Process one row and record its result or error."""
        row_id: str = row["id"]
        tools = Tools(row_id, self._seed, self._model, self._shared, chunk.answers)
        items: list[Row | Rejected] = []
        outputs = 0
        stage = self._task.stage
        members = {member["id"] for member in row["rows"]} if stage.gathers else ()
        # A coroutine processes many rows.
        last_completions.set(())
        try:
            async for item in stage.process(row, tools):
                if not isinstance(item, Rejected):
                    self._check(item, row_id)
                    outputs += 1
                elif item.row["id"] not in members:
                    self._check(item.row, row_id)
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
        if not self._outputs.issuperset(output):
            raise ValueError(f"the stage yielded undeclared columns: {sorted(output.keys() - self._outputs)}")
        if not (output["id"] == row_id or output["id"].startswith(f"{row_id}/")):
            raise ValueError(f"the output id {output['id']!r} does not start with the input id {row_id!r}")

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            for held in self._held:
                self._flush(held.chunk)

    def _flush(self, chunk: Chunk) -> None:
        if not chunk.is_open:
            return
        try:
            # First, so that no answer is recorded whose tokens are not.
            self._ledger.flush()
            chunk.flush()
        except OSError as error:
            self._stopping.stop(error)

    async def _end_when_stopped(self) -> None:
        """Once the run is stopped, end the rows in progress within the grace period."""
        await self._stopping.wait()
        if self._rows:
            engine_answers = self._shared.engine is None or self._shared.engine.is_ready
            await asyncio.wait(self._rows, timeout=self._stopping.grace(engine_answers=engine_answers))
        while self._rows:
            # Repeatedly: a cancellation can be lost to that of a request that times out at the same moment.
            self.end_rows()
            await asyncio.wait(self._rows, timeout=0.5)
        self._end_held()


def _failure(row_id: str, error: BaseException) -> Failure:
    return Failure(row_id, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))
