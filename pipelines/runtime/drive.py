"""Hands the chunks of a run to its workers. It knows neither where they run nor what they do with a chunk.

A chunk is handed out under a lease, in input order. If its worker is lost, the chunk is handed to another worker, which
goes on from the journals.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from synth.pipelines.runtime.chunk import Failure, Trail
from synth.pipelines.runtime.counts import Counts
from synth.schemas.errors import SynthError

__all__ = ["ChunkOutcome", "Lease", "LeaseWorker", "Leases", "WorkerLost", "drive"]

# Workers that a chunk may cost in a row, without any progress of the run. It would otherwise be tried for ever.
MOST_LOSSES = 3


@dataclass(frozen=True)
class Lease:
    """A chunk to work on. In the chunks before it, `finished` rows are known to have ended, with `outputs` rows."""

    chunk: int
    finished: int = 0
    outputs: int = 0


@dataclass(frozen=True)
class ChunkOutcome:
    """The state of a chunk when its lease ends.

    `is_published`; or only `is_done`: all rows have ended, and the driver publishes the chunk from the journals of the
    lease `journals`; or neither, because the run stops or has enough outputs. `counts` exclude the `failures`, which
    are by row index.
    """

    chunk: int
    journals: str
    counts: Counts
    is_published: bool = False
    is_done: bool = False
    failures: Mapping[int, Failure] = field(default_factory=dict)


class WorkerLost(Exception):
    """A worker died, or can no longer be reached; the message says what is known about it."""


class LeaseWorker(Protocol):
    """Works on several chunks at a time."""

    async def ready(self) -> None:
        """Return when it can work; raises `WorkerLost` if it never will."""

    async def work(self, lease: Lease) -> ChunkOutcome:
        """Raises `WorkerLost`; the chunk is then handed out again."""


class Leases:
    """The chunks that are not finished, in input order.

    `lease` makes the lease of a chunk when it is handed out; `trail` tells what was left of it.
    """

    def __init__(self, chunks: Iterable[int], lease: Callable[[int], Lease], trail: Callable[[int], Trail]) -> None:
        self._waiting = deque(chunks)
        self._lease = lease
        self._trail = trail
        # At the last loss of a chunk, what was left of it, and how many chunks had been settled.
        self._before: dict[int, tuple[Trail, int]] = {}
        self._settled = 0
        self._held = 0
        self._last = sys.maxsize
        self._losses: Counter[int] = Counter()
        self._changed = asyncio.Condition()
        # Set when no chunk is left or held.
        self.over = asyncio.Event()
        self._note()

    async def take(self) -> Lease | None:
        """The next lease; waits for those of others, which may come back. None if nothing is left to do."""
        async with self._changed:
            while not self._waiting and self._held:
                await self._changed.wait()
            if not self._waiting:
                return None
            self._held += 1
            return self._lease(self._waiting.popleft())

    async def settle(self) -> None:
        """A lease has ended."""
        async with self._changed:
            self._held -= 1
            self._settled += 1
            self._note()
            self._changed.notify_all()

    async def give_back(self, chunk: int, loss: WorkerLost) -> None:
        """A lease has ended with its worker. Raises `SynthError` if the chunk has cost too many of them."""
        self._count_loss(chunk)
        if self._losses[chunk] >= MOST_LOSSES:
            raise SynthError(
                f"chunk {chunk} has cost {MOST_LOSSES} workers in a row, the last one because {loss}: the run ends, "
                "what was finished is kept; repeat the command to try again"
            )
        async with self._changed:
            self._held -= 1
            if chunk <= self._last:
                self._waiting.appendleft(chunk)
            self._note()
            self._changed.notify_all()

    def _count_loss(self, chunk: int) -> None:
        (before, settled), now = self._before.get(chunk, (Trail(), 0)), self._trail(chunk)
        if now.journals == before.journals:
            # It waited for its turn.
            return
        self._before[chunk] = now, self._settled
        is_progress = now.size > before.size or self._settled > settled
        self._losses[chunk] = 1 if is_progress else self._losses[chunk] + 1

    def end(self, after: int = -1) -> None:
        """Hand out no more chunks, except those up to `after`."""
        self._last = min(self._last, after)
        self._waiting = deque(chunk for chunk in self._waiting if chunk <= self._last)
        self._note()

    def _note(self) -> None:
        if not (self._waiting or self._held):
            self.over.set()

    @property
    def are_left(self) -> bool:
        return bool(self._waiting)


async def drive(
    leases: Leases, workers: Sequence[LeaseWorker], depth: int, settle: Callable[[ChunkOutcome], None]
) -> None:
    """Have all chunks worked on, `depth` at a time by each worker, and `settle` each outcome.

    Raises `SynthError` if no worker is left, or a chunk loses too many of them.
    """
    lost: list[WorkerLost] = []

    async def serve(worker: LeaseWorker) -> None:
        while True:
            try:
                await worker.ready()
            except WorkerLost as loss:
                lost.append(loss)
                return
            if (lease := await leases.take()) is None:
                return
            try:
                outcome = await worker.work(lease)
            except WorkerLost as loss:
                await leases.give_back(lease.chunk, loss)
            else:
                settle(outcome)
                await leases.settle()

    slots = {asyncio.create_task(serve(worker)) for _ in range(depth) for worker in workers}
    over = asyncio.create_task(leases.over.wait())
    serving = {*slots}
    try:
        # Not until all slots have ended: a worker that is not ready may never be.
        while serving and not over.done():
            ended, _ = await asyncio.wait({over, *serving}, return_when=asyncio.FIRST_COMPLETED)
            serving -= ended
            for slot in ended & slots:
                slot.result()
    finally:
        for task in (over, *slots):
            task.cancel()
        await asyncio.gather(over, *slots, return_exceptions=True)
    if leases.are_left:
        raise SynthError(f"no worker is left, the last one because {lost[-1]}: repeat the command to go on")
