"""How chunks are handed to workers: in order, again if a worker is lost, and not for ever."""

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from synth.pipelines.runtime.chunk import Trail
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.drive import ChunkOutcome, Lease, Leases, WorkerLost, drive
from synth.schemas.errors import SynthError


class Scripted:
    """A worker that takes a turn of the event loop for each chunk; `fate` may lose it."""

    def __init__(self, fate: Callable[[int], None] = lambda _: None, *, gone: bool = False) -> None:
        self.leased: list[int] = []
        self.most = 0
        self._at_once = 0
        self._fate = fate
        self._gone = gone

    async def ready(self) -> None:
        if self._gone:
            raise WorkerLost("its machine is gone")

    async def work(self, lease: Lease) -> ChunkOutcome:
        self.leased.append(lease.chunk)
        self._at_once += 1
        self.most = max(self.most, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        self._fate(lease.chunk)
        return ChunkOutcome(lease.chunk, "", Counts(), is_published=True, is_done=True)


def driven(
    chunks: int,
    *workers: Scripted,
    depth: int = 1,
    settle: Callable[[ChunkOutcome], None] | None = None,
    trail: Callable[[int], Trail] | None = None,
) -> list[int]:
    """The chunks in the order in which they were settled. By default each lease begins its chunk anew."""
    settled: list[int] = []
    opened = count()

    async def run() -> None:
        leases = Leases(range(chunks), Lease, trail or (lambda _: Trail(frozenset([str(next(opened))]))))
        await drive(leases, workers, depth, settle or (lambda outcome: settled.append(outcome.chunk)))

    asyncio.run(asyncio.wait_for(run(), 10))
    return settled


def times(chunk: int, number: int) -> Callable[[int], None]:
    """Lose the worker the first times that it has this chunk."""
    left = [number]

    def fate(leased: int) -> None:
        if leased == chunk and left[0]:
            left[0] -= 1
            raise WorkerLost("it was killed")

    return fate


def always(chunk: int) -> Callable[[int], None]:
    def fate(leased: int) -> None:
        if leased == chunk:
            raise WorkerLost("it was killed")

    return fate


def test_every_chunk_is_settled_once_and_they_are_handed_out_in_order() -> None:
    one, two = Scripted(), Scripted()
    assert sorted(driven(20, one, two)) == list(range(20))
    assert one.leased == sorted(one.leased)
    assert sorted(one.leased + two.leased) == list(range(20))


def test_a_worker_has_no_more_chunks_at_a_time_than_the_depth() -> None:
    worker = Scripted()
    driven(20, worker, depth=3)
    assert worker.most == 3


def test_the_chunk_of_a_lost_worker_is_the_next_one_handed_out() -> None:
    worker = Scripted(times(3, 1))
    assert sorted(driven(6, worker)) == list(range(6))
    assert worker.leased == [0, 1, 2, 3, 3, 4, 5]


def test_a_chunk_that_comes_back_at_the_end_is_taken_by_a_worker_that_had_nothing_to_do() -> None:
    slow = asyncio.Event()

    class Dying(Scripted):
        async def work(self, lease: Lease) -> ChunkOutcome:
            self.leased.append(lease.chunk)
            await slow.wait()
            self._gone = True
            raise WorkerLost("it was killed")

    class Idle(Scripted):
        async def work(self, lease: Lease) -> ChunkOutcome:
            slow.set()
            return await super().work(lease)

    dying, idle = Dying(), Idle()
    assert sorted(driven(2, dying, idle)) == [0, 1]
    assert idle.leased == [1, 0]


def test_a_chunk_that_loses_three_workers_ends_the_run() -> None:
    with pytest.raises(SynthError, match="chunk 2 has cost 3 workers in a row, the last one because it was killed"):
        driven(6, Scripted(always(2)), Scripted(always(2)))


def test_a_chunk_that_makes_progress_may_lose_any_number() -> None:
    sizes = count()
    worker = Scripted(times(2, 9))
    trail = lambda _: Trail(frozenset([str(size := next(sizes))]), size)  # noqa: E731
    assert sorted(driven(4, worker, trail=trail)) == [0, 1, 2, 3]
    assert worker.leased.count(2) == 10


def test_a_chunk_that_was_not_begun_is_not_to_blame() -> None:
    worker = Scripted(times(2, 9))
    assert sorted(driven(4, worker, trail=lambda _: Trail())) == [0, 1, 2, 3]


def test_the_others_go_on_without_a_worker_that_is_gone() -> None:
    rest = Scripted()
    assert sorted(driven(6, Scripted(gone=True), rest)) == list(range(6))
    assert rest.leased == list(range(6))


def test_without_any_worker_the_run_ends() -> None:
    with pytest.raises(SynthError, match="no worker is left, the last one because its machine is gone"):
        driven(6, Scripted(gone=True), Scripted(gone=True))


def test_no_chunk_is_handed_out_after_the_end() -> None:
    async def run() -> list[int]:
        leases, settled = Leases(range(10), Lease, lambda _: Trail()), []

        def settle(outcome: ChunkOutcome) -> None:
            settled.append(outcome.chunk)
            if outcome.chunk == 3:
                leases.end()

        await drive(leases, [Scripted()], 1, settle)
        return settled

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_a_fault_in_settling_ends_the_run() -> None:
    def settle(outcome: ChunkOutcome) -> None:
        raise ZeroDivisionError(outcome.chunk)

    with pytest.raises(ZeroDivisionError):
        driven(6, Scripted(), settle=settle)
