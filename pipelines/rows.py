"""Runs a row stage: thousands of row coroutines in flight, so that the engine never waits for the end of a batch."""

import asyncio
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from pipelines.chunk import Chunk, Counts, Failure
from pipelines.engines import Engine
from pipelines.stage import Reject, Rejected, Row, RowStage
from pipelines.tools import RowTools, SharedEngine
from schemas.errors import Interrupted, Partial, SynthError
from schemas.writing import Building, Shard, write_json

__all__ = ["RowRun"]

CHUNK_ROWS = 4096
FLUSH_SECONDS = 0.5
# How long rows in flight may go on after the first Ctrl-C.
GRACE_SECONDS = 5.0


class RowRun:
    """One execution of a row stage over a table.

    Rows are admitted in input order while fewer than `in_flight` are under way, across the borders of chunks. Ctrl-C
    ends admission and gives the rows under way five seconds; a second one ends them at once.
    """

    def __init__(
        self,
        stage: RowStage,
        table: pa.Table,
        building: Building,
        engine: Engine | None,
        *,
        model: str,
        seed: int,
        in_flight: int,
        max_failures: int,
        observe: Callable[[Counts, int], None],
    ) -> None:
        self._stage = stage
        self._table = table
        self._building = building
        self._engine = engine
        self._shared = SharedEngine(engine) if engine else None
        self._model = model
        self._max_failures = max_failures
        self._observe = observe
        self._seed = f"{seed}\x00{stage.name}"
        self._outputs = set(stage.output.names)
        self._chunks = [
            Chunk(
                stage,
                index,
                start,
                min(start + CHUNK_ROWS, table.num_rows),
                working=building.work,
                shards=building.shards,
            )
            for index, start in enumerate(range(0, table.num_rows, CHUNK_ROWS))
        ]
        self._published = Counts()
        self._open: set[Chunk] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._publications: set[asyncio.Task[None]] = set()
        self._window = asyncio.Semaphore(in_flight)
        self._stopped = asyncio.Event()
        self._stopped_by: BaseException | None = None

    def run(self) -> tuple[Counts, list[Shard], list[Shard]]:
        """Counts, data shards and rejected shards once every row has finished.

        Raises `Interrupted`, `EngineFailed`, or `Partial` when more rows failed than may.
        """
        asyncio.run(self._run())
        finished = [chunk.published() for chunk in self._chunks]
        total = Counts()
        for counts, _, _ in finished:
            total.add(counts)
        return total, [data for _, data, _ in finished], [rejected for _, _, rejected in finished]

    async def _run(self) -> None:
        unpublished = [chunk for chunk in self._chunks if not chunk.is_published]
        for chunk in self._chunks:
            if chunk.is_published:
                self._published.add(chunk.published()[0])
        if not unpublished:
            return
        with self._interruptible():
            ticking = asyncio.create_task(self._tick())
            try:
                if self._engine:
                    await self._start(self._engine)
                if not self._stopped.is_set():
                    await self._admit(unpublished)
                await self._drain()
            finally:
                ticking.cancel()
                if self._engine:
                    await self._engine.close()
                self._settle()
        self._observe_counts()
        if self._stopped_by:
            raise self._stopped_by

    async def _start(self, engine: Engine) -> None:
        """Wait for the engine to start, or leave it when the run is stopped before."""
        start = asyncio.create_task(engine.start())
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if start.done():
            start.result()
        else:
            start.cancel()

    async def _admit(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            chunk.open()
            self._open.add(chunk)
            for index, row in chunk.pending(self._table):
                await self._window.acquire()
                if self._stopped.is_set():
                    return
                task = asyncio.create_task(self._row(chunk, index, row))
                self._tasks.add(task)
                task.add_done_callback(self._row_ended)
            self._publish_if_done(chunk)

    async def _row(self, chunk: Chunk, index: int, row: Row) -> None:
        """One row from beginning to end; whatever happens to it is recorded."""
        row_id: str = row["id"]
        tools = RowTools(row_id, self._seed, self._model, self._shared, chunk.answers)
        items: list[Row | Rejected] = []
        try:
            async for item in self._stage.process(row, tools):
                items.append(self._checked(item, row_id))  # noqa: PERF401  what came before an error is looked at
            if all(isinstance(item, Rejected) for item in items):
                raise ValueError("the stage gave neither an output row nor a reason")
        except Reject as reject:
            rejected = [item for item in items if isinstance(item, Rejected)]
            if len(rejected) < len(items):
                chunk.fail(index, _failure(row_id, ValueError("the stage rejected a row that had given output")))
            else:
                chunk.reject(index, row, reject.reason, reject.detail, rejected, tools.tallies)
        except SynthError as ended:
            self._stop(ended)
            return
        except Exception as error:
            chunk.fail(index, _failure(row_id, error))
        else:
            chunk.finish(index, row_id, items, tools.tallies)
        finally:
            self._window.release()
        self._publish_if_done(chunk)

    def _row_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A row records its own errors; what is left is a fault in recording them, and no run should outlive it.
        if not task.cancelled() and (fault := task.exception()):
            self._stop(fault)

    def _checked(self, item: Row | Rejected, row_id: str) -> Row | Rejected:
        made = item.row if isinstance(item, Rejected) else item
        if not made.keys() <= self._outputs:
            raise ValueError(f"the stage gave columns that its output has not: {sorted(made.keys() - self._outputs)}")
        if made["id"] != row_id and not made["id"].startswith(f"{row_id}/"):
            raise ValueError(f"the output id {made['id']!r} does not show its descent from {row_id!r}")
        return item

    def _publish_if_done(self, chunk: Chunk) -> None:
        if not chunk.is_done or chunk not in self._open:
            return
        self._flush(chunk)
        # A chunk with failures waits: whether they may be published is known only when all rows have ended.
        if not chunk.failures and not self._stopped.is_set():
            self._open.discard(chunk)
            self._published.add(chunk.counts)
            task = asyncio.create_task(asyncio.to_thread(chunk.publish))
            self._publications.add(task)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            for chunk in self._open:
                self._flush(chunk)
            self._observe_counts()

    def _flush(self, chunk: Chunk) -> None:
        try:
            chunk.flush()
        except OSError as error:
            self._stop(
                SynthError(f"{self._building.path} cannot be written: {error.strerror}; what was written is kept")
            )

    def _observe_counts(self) -> None:
        counts = Counts()
        counts.add(self._published)
        for chunk in self._open:
            counts.add(chunk.counts)
            counts.failed += len(chunk.failures)
        self._observe(counts, self._table.num_rows)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self._stopped.is_set():
            for task in self._tasks:
                task.cancel()
        self._stop(Interrupted("interrupted: what was finished is kept, repeat the command to go on"))

    def _stop(self, why: BaseException) -> None:
        self._stopped_by = self._stopped_by or why
        self._stopped.set()
        # Admission may be waiting for a place in the window.
        self._window.release()

    async def _drain(self) -> None:
        """Wait for the rows under way: to their end, or as long as a stopped run grants them."""
        if self._tasks:
            ended = asyncio.create_task(asyncio.wait(self._tasks))
            stopped = asyncio.create_task(self._stopped.wait())
            await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_SECONDS if isinstance(self._stopped_by, Interrupted) else 0.0)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._publications)

    def _settle(self) -> None:
        """Flush the chunks that are still open; publish those that only wait for a verdict on their failures."""
        failures = [failure for chunk in self._chunks for failure in chunk.failures.values()]
        if self._stopped_by is None and failures:
            if len(failures) <= self._max_failures:
                for chunk in self._open:
                    chunk.accept_failures(self._table)
                    chunk.publish()
                return
            self._stopped_by = self._partial(failures)
        for chunk in self._open:
            chunk.close()

    def _partial(self, failures: list[Failure]) -> Partial:
        log = self._building.path / "failed.json"
        write_json(log, {"failed": [{"id": f.row_id, "error": f.error, "traceback": f.traceback} for f in failures]})
        first = failures[0]
        return Partial(
            f"{len(failures)} of {self._table.num_rows} rows failed, the first of them {first.row_id} ({first.error}): "
            f"nothing was published, {log} has the tracebacks; "
            "repeat the command to try them again, or allow them with --max-failures"
        )


def _failure(row_id: str, error: BaseException) -> Failure:
    return Failure(row_id, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))
