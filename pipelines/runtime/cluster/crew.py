"""Workers on a Ray cluster: actors with an engine and a sandbox of their own.

The output, the input and the current directory must be on a file system that all nodes share, unless the output is in
an object store, through which the input then comes, too. Actors are never restarted by Ray: a worker whose actor is
lost gets a new one, and what the old one may still do is fenced by the lease of its chunk.
"""

import asyncio
import logging
import os
import pickle
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyarrow as pa

from synth.pipelines.runtime.chunk_worker import Task
from synth.pipelines.runtime.cluster.actor import Actor, Report, Setting, versions
from synth.pipelines.runtime.cluster.connection import connect, disconnect, nodes
from synth.pipelines.runtime.cluster.placement import Placement, placed
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.drive import ChunkOutcome, Lease, WorkerLost
from synth.pipelines.runtime.observation import Observation
from synth.pipelines.runtime.shutdown import GRACE_SECONDS, Stopping
from synth.pipelines.runtime.spending import Spending
from synth.schemas.errors import BudgetSpent, SynthError
from synth.schemas.phrases import first_line
from synth.schemas.shards import ShardWriter
from synth.schemas.stores.places import origin
from synth.schemas.writing.store_shelf import shelf_of

__all__ = ["RayCrew"]

REPORT_SECONDS = 1.0
# Reports that the driver takes in a second, whatever the number of workers.
MOST_REPORTS = 100
# After this time without an answer to its requests, or without a report, a worker counts as dead.
HUNG_SECONDS = 1800.0
# How long a worker waits for a node with room for it, and how many failed starts in a row end it.
PATIENCE_SECONDS = 600.0
MOST_STARTS = 3
# The first letters of the environment variables that workers get, except those that describe one process.
ENVIRONMENT = ("AWS_", "AZURE_", "GOOGLE_", "HF_", "HUGGING", "OPENAI_", "SYNTH_", "TRANSFORMERS_", "VLLM_")
NOT_SHARED = "VLLM_DP_"


class RayCrew:
    """The workers of a run on the cluster at `address`, by default the one that RAY_ADDRESS names, else a local one."""

    def __init__(
        self, task: Task, table: pa.Table, stopping: Stopping, address: str | None, wanted: int | None
    ) -> None:
        self._task = replace(task, layout=replace(task.layout, path=task.layout.path.absolute()))
        self._table = table
        self._stopping = stopping
        self._address = address
        self._wanted = wanted
        self._spent_before = Spending.recorded(task.layout.all_spending()).tokens
        self._stop: asyncio.Task[None] | None = None
        self.workers: Sequence[RayWorker] = ()

    async def start(self) -> None:
        """Connect to the cluster. Raises `UsageError` if there is none, or if it has not what the run needs."""
        connect(self._address)
        try:
            place = placed(nodes(), self._task.backends.gpus_wanted, self._wanted)
            setting = self._setting(place)
        except BaseException:
            disconnect()
            raise
        self.workers = [RayWorker(number, place, setting, self) for number in range(place.workers)]
        self._stop = asyncio.create_task(self._stop_workers())
        self._stop.add_done_callback(self._stopping.stop_at_fault)

    def observe(self) -> Observation:
        """What all workers do. Phases are those of workers that cannot begin yet."""
        seen = Observation(int(self._table.num_rows))
        for worker in self.workers:
            seen = seen.plus(worker.observe())
        waiting = sum(not worker.is_open for worker in self.workers)
        if waiting:
            phase = f"starting {waiting} of {len(self.workers)} workers"
            seen = replace(seen, phase=", ".join(filter(None, (phase, seen.phase))))
        return seen

    @property
    def engine_seconds(self) -> float:
        return sum(worker.engine_seconds for worker in self.workers)

    @property
    def start_seconds(self) -> float:
        return max((worker.last.start_seconds for worker in self.workers if worker.last), default=0.0)

    @property
    def sandbox(self) -> Mapping[str, Any] | None:
        """The record of the sandbox, in which the nodes do not differ."""
        return next((worker.last.sandbox for worker in self.workers if worker.last and worker.last.sandbox), None)

    @property
    def software(self) -> Mapping[str, str]:
        """The versions that the workers have used."""
        return {
            name: version for worker in self.workers if worker.last for name, version in worker.last.software.items()
        }

    @property
    def gpus(self) -> int | None:
        """The GPUs of one worker, as it said."""
        return next((worker.last.gpus for worker in self.workers if worker.last), self._task.backends.gpus)

    @property
    def seconds_between_reports(self) -> float:
        return max(REPORT_SECONDS, len(self.workers) / MOST_REPORTS)

    def spent_elsewhere(self, asking: "RayWorker") -> int:
        """The tokens that earlier runs and other workers have spent."""
        return self._spent_before + sum(worker.tokens for worker in self.workers if worker is not asking)

    def stop(self, reason: BaseException) -> None:
        """A worker ends because of something that concerns the whole run."""
        self._stopping.stop(reason)

    def end_rows(self) -> None:
        """End at once."""
        for worker in self.workers:
            worker.kill()

    async def close(self) -> None:
        if self._stop:
            self._stop.cancel()
        await asyncio.gather(*(worker.close() for worker in self.workers))
        disconnect()

    async def _stop_workers(self) -> None:
        await self._stopping.wait()
        assert self._stopping.reason
        for worker in self.workers:
            worker.stop(self._stopping.reason)
        if not isinstance(self._stopping.reason, BudgetSpent):
            # Longer than a worker takes for its rows in progress and its journals.
            await asyncio.sleep(3 * GRACE_SECONDS)
            self.end_rows()

    def _setting(self, place: Placement) -> Setting:
        layout = self._task.layout
        # Read by every worker, so it is memory-mapped there and never sent.
        if not layout.prepared.exists():
            with ShardWriter(layout.prepared, self._table.schema) as writer:
                for batch in self._table.to_batches(max_chunksize=self._task.chunk_rows):
                    writer.write(batch)
                writer.close()
        shelf_of(layout.out.path).share([layout.prepared, *layout.prior_answers()])
        return Setting(
            name="",
            folder=Path.cwd(),
            path=sys.path,
            environment=_environment(),
            versions=versions(),
            output=origin(layout.out.path),
            begun=layout.record.read_text(),
            processors=place.processors,
            keys=[backend.key for backend in self._task.backends.shared(None, Spending()).used],
            task=pickle.dumps(self._task),
        )


class RayWorker:
    """A worker whose actor is replaced when it is lost."""

    def __init__(self, number: int, place: Placement, setting: Setting, crew: RayCrew) -> None:
        self._number = number
        self._place = place
        self._setting = setting
        self._crew = crew
        self._actor: Any = None
        self._opening: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._starts = 0
        self._leased: set[int] = set()
        self.last: Report | None = None
        # Of actors that are lost.
        self._lost_seconds, self._lost_tokens = 0.0, 0

    @property
    def is_open(self) -> bool:
        return self._actor is not None

    @property
    def engine_seconds(self) -> float:
        return self._lost_seconds + (self.last.engine_seconds if self.last else 0.0)

    @property
    def tokens(self) -> int:
        """The tokens that it has spent in this run."""
        return self._lost_tokens + (self.last.tokens if self.last else 0)

    def observe(self) -> Observation:
        """As it last reported, without the chunks that have ended since."""
        if self.last is None:
            return Observation()
        counts = Counts()
        for chunk, of_chunk in self.last.counts.items():
            if chunk in self._leased:
                counts.add(of_chunk)
        return replace(self.last.seen, counts=counts)

    async def ready(self) -> None:
        """Raises `WorkerLost` if no actor could be started, `SynthError` if its node is not fit for the run."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        await asyncio.shield(self._opening)

    async def work(self, lease: Lease) -> ChunkOutcome:
        actor = self._actor
        if actor is None:
            raise WorkerLost("its actor was lost")
        outcome: ChunkOutcome
        self._leased.add(lease.chunk)
        try:
            outcome, reason = await _answer(actor.work.remote(lease))
        except WorkerLost:
            self._lose(actor)
            raise
        finally:
            self._leased.discard(lease.chunk)
        if isinstance(reason, WorkerLost):
            self._lose(actor)
            if not outcome.is_done:
                raise reason
        elif reason:
            self._crew.stop(reason)
        return outcome

    def stop(self, reason: BaseException) -> None:
        if self._actor is not None:
            self._actor.stop.remote(reason)

    def kill(self) -> None:
        if self._actor is not None:
            self._lose(self._actor)

    async def close(self) -> None:
        import ray

        for task in filter(None, (self._opening, self._watching)):
            task.cancel()
            with suppress(asyncio.CancelledError, WorkerLost, SynthError):
                await task
        if self._actor is not None:
            # So that its ledger has all that was spent. What it says last is part of the record.
            with suppress(WorkerLost, TimeoutError):
                self.last = await asyncio.wait_for(_answer(self._actor.close.remote()), 2 * GRACE_SECONDS)
            ray.kill(self._actor)
            self._actor = None

    async def _open(self) -> None:
        import ray

        while True:
            self._starts += 1
            remote = ray.remote(Actor).options(
                num_cpus=self._place.processors,
                num_gpus=self._place.gpus,
                max_concurrency=1000,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy="SPREAD",
            )
            actor = remote.remote()
            setting = replace(self._setting, name=f"{self._number}-{token_hex(4)}")
            try:
                await asyncio.wait_for(_answer(actor.open.remote(setting)), PATIENCE_SECONDS)
            except asyncio.CancelledError:
                # The run has ended without it.
                with suppress(WorkerLost, TimeoutError):
                    await asyncio.wait_for(_answer(actor.leave.remote()), GRACE_SECONDS)
                raise
            except (WorkerLost, TimeoutError) as loss:
                ray.kill(actor)
                if isinstance(loss, TimeoutError):
                    raise WorkerLost(f"no node had room for it within {PATIENCE_SECONDS:.0f} s") from None
                if self._starts >= MOST_STARTS:
                    raise WorkerLost(f"it cannot start ({loss}; is synth installed on all nodes?)") from loss
            else:
                self._starts, self._actor = 0, actor
                self._watching = asyncio.create_task(self._watch(actor))
                return

    async def _watch(self, actor: Any) -> None:
        """Take reports from an actor, until it is lost or hangs."""
        changed = time.monotonic()
        while self._actor is actor:
            await asyncio.sleep(self._crew.seconds_between_reports)
            try:
                elsewhere = self._crew.spent_elsewhere(self)
                report: Report = await asyncio.wait_for(_answer(actor.report.remote(elsewhere)), HUNG_SECONDS)
            except WorkerLost:
                self._lose(actor)
                return
            except TimeoutError:
                self._give_up(actor)
                return
            for message in report.warnings:
                logging.getLogger("synth").warning("worker %d on %s: %s", self._number, report.node, message)
            if self._actor is not actor:
                return
            is_idle = report.seen.phase is not None or not report.seen.in_flight
            if self.last is None or report.progress != self.last.progress or is_idle:
                changed = time.monotonic()
            self.last = report
            if time.monotonic() - changed > HUNG_SECONDS:
                self._give_up(actor)

    def _give_up(self, actor: Any) -> None:
        """An actor hangs, with its engine or as a whole."""
        logging.getLogger("synth").warning(
            "worker %d gave no answer for %d s: its chunks go on elsewhere", self._number, HUNG_SECONDS
        )
        self._lose(actor)

    def _lose(self, actor: Any) -> None:
        """End an actor, and have the next `ready` start another one."""
        import ray

        ray.kill(actor)
        if self._actor is actor:
            self._lost_seconds, self._lost_tokens = self.engine_seconds, self.tokens
            self._actor = self._opening = self.last = None


async def _answer(reference: Any) -> Any:
    """What an actor answers. Raises the actor's `SynthError`, or `WorkerLost` if it is gone."""
    import ray

    try:
        return await reference
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SynthError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise WorkerLost(first_line(error).rstrip(".")) from error


def _environment() -> Mapping[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(ENVIRONMENT) and not name.startswith(NOT_SHARED)
    }
