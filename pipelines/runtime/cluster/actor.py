"""One worker on a cluster, as it runs in its own process there."""

import asyncio
import logging
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synth.pipelines.runtime.chunk_worker import PUBLISHING, ChunkWorker, Task
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import output
from synth.pipelines.runtime.drive import ChunkOutcome, Lease, WorkerLost
from synth.pipelines.runtime.event_loop import tuned_for_rows
from synth.pipelines.runtime.observation import Observation
from synth.pipelines.runtime.shutdown import Stopping
from synth.pipelines.runtime.software import software
from synth.pipelines.runtime.spending import Spending
from synth.schemas.dataset import read_shard
from synth.schemas.errors import EngineFailed, SynthError, UsageError
from synth.schemas.stores.places import origin
from synth.schemas.writing.shelf import Shelf
from synth.schemas.writing.store_shelf import shelf_of

__all__ = ["Actor", "Report", "Setting", "versions"]


@dataclass(frozen=True)
class Setting:
    """What the driver tells a worker: first what both must have in common, then the task, pickled.

    `name` is that of its ledger, `folder` the current directory, `path` where modules are searched for, `begun` the
    record of the run that makes `output`, a directory or a URL, and `keys` are those of the backends.
    """

    name: str
    folder: Path
    path: Sequence[str]
    environment: Mapping[str, str]
    versions: Mapping[str, str]
    output: str
    begun: str
    processors: int
    keys: Sequence[int]
    task: bytes


@dataclass(frozen=True)
class Report:
    """What a worker does: the counts of its open chunks, what can be seen of its backends, and what it has spent."""

    node: str
    counts: Mapping[int, Counts]
    seen: Observation
    tokens: int
    engine_seconds: float
    start_seconds: float
    gpus: int | None
    sandbox: Mapping[str, Any] | None
    software: Mapping[str, str]
    warnings: Sequence[str] = ()

    @property
    def progress(self) -> tuple[int, ...]:
        """Changes as long as anything is answered."""
        seen = self.seen
        return seen.answers, seen.verdicts, seen.searches, seen.scores


def versions() -> dict[str, str]:
    """The versions that must be the same everywhere."""
    return software(["synth", "pyarrow"])


@dataclass
class Actor:
    """Hosts a `ChunkWorker`, whose event loop is that of the actor."""

    _contexts: ExitStack = field(default_factory=ExitStack)
    _warnings: list[str] = field(default_factory=list)
    _shelf: Shelf | None = None

    async def open(self, setting: Setting) -> None:
        """Prepare to work. Raises `UsageError` if this machine is not fit for the run."""
        try:
            self._open(setting)
        except SynthError as error:
            raise type(error)(f"on the node {_node()}: {error}") from None
        await self._worker.start()

    def _open(self, setting: Setting) -> None:
        for name, version in setting.versions.items():
            if (mine := versions().get(name)) != version:
                raise UsageError(f"it has {name} {mine} instead of {version}: install the same version on all nodes")
        os.environ.update(setting.environment)
        if not setting.folder.is_dir():
            raise _not_seen(setting.folder)
        os.chdir(setting.folder)
        # In an object store, it has a workplace of its own here.
        shelf = self._shelf = shelf_of(output(setting.output))
        if not shelf.join(setting.begun):
            raise _not_seen(origin(shelf.partial.path))
        # A stage may be in a file of the user's.
        sys.path += [folder for folder in setting.path if folder not in sys.path]
        self._task: Task = replace(_loaded(setting.task), layout=shelf.partial)
        backends = self._task.backends
        if [backend.key for backend in backends.shared(None, Spending()).used] != setting.keys:
            raise UsageError("its model or its sandbox is another one: install the same everywhere")
        if backends.sandbox:
            backends.sandbox.share(setting.processors)
        logging.getLogger("synth").addFilter(self._note)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(PUBLISHING))
        self._contexts.enter_context(tuned_for_rows())
        self._stopping = Stopping(self._task.layout.path)
        table = read_shard(self._task.layout.prepared)
        self._worker = ChunkWorker(self._task, table, self._stopping, setting.name)

    async def work(self, lease: Lease) -> tuple[ChunkOutcome, BaseException | None]:
        """The outcome of a chunk, and why the worker is stopping, if it is.

        That is `WorkerLost` if its own engine has died: a new process may do better.
        """
        outcome, reason = await self._worker.work(lease), self._stopping.reason
        if isinstance(reason, EngineFailed) and self._worker.has_had_an_engine:
            reason = WorkerLost(str(reason))
        return outcome, reason

    async def report(self, spent_elsewhere: int) -> Report:
        self._worker.spent_elsewhere(spent_elsewhere)
        warnings, self._warnings = self._warnings, []
        return self._report(warnings)

    async def stop(self, reason: BaseException) -> None:
        self._stopping.stop(reason)

    async def leave(self) -> None:
        """Give up the place where it works, or would have worked."""
        if self._shelf:
            self._shelf.leave()

    async def close(self) -> Report:
        await self._worker.close()
        await self.leave()
        self._contexts.close()
        return self._report(self._warnings)

    def _report(self, warnings: Sequence[str]) -> Report:
        worker = self._worker
        return Report(
            node=_node(),
            counts=worker.open_counts(),
            seen=worker.observe(),
            tokens=worker.tokens,
            engine_seconds=worker.engine_seconds,
            start_seconds=worker.start_seconds,
            gpus=worker.gpus,
            sandbox=worker.sandbox,
            software=worker.software,
            warnings=warnings,
        )

    def _note(self, record: logging.LogRecord) -> bool:
        self._warnings.append(record.getMessage())
        return False


def _loaded(task: bytes) -> Task:
    try:
        loaded: Task = pickle.loads(task)
    except SynthError:
        raise
    # Whatever the import of a module raises.
    except Exception as error:
        raise UsageError(
            f"it cannot load the code of the step ({type(error).__name__}: {error}): have it on all nodes"
        ) from error
    return loaded


def _not_seen(place: Path | str) -> UsageError:
    return UsageError(f"it does not see {place}: use directories on a file system that all nodes share")


def _node() -> str:
    return os.uname().nodename
