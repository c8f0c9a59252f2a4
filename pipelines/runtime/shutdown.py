"""Stops a run early: at Ctrl-C, a dead engine, a spent budget or a full disk."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from synth.schemas.errors import BudgetSpent, Interrupted, SynthError

__all__ = ["Stopping", "on_signals", "unwritable"]

# How long rows in progress may continue after the first Ctrl-C.
GRACE_SECONDS = 5.0


class Stopping:
    """Whether a run that writes to `folder` is stopping, and the first reason for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = asyncio.Event()
        self.reason: BaseException | None = None

    def stop(self, why: BaseException) -> None:
        if isinstance(why, OSError):
            why = unwritable(self._folder, why)
        self.reason = self.reason or why
        self._began.set()

    def stop_at_fault(self, task: "asyncio.Task[None]") -> None:
        """Stop if a task that has ended did so with an error: a fault of the runner."""
        if not task.cancelled() and (fault := task.exception()):
            self.stop(fault)

    async def wait(self) -> None:
        await self._began.wait()

    def grace(self, *, engine_answers: bool) -> float | None:
        """Seconds that the rows in progress may take to finish; None for no limit."""
        if isinstance(self.reason, BudgetSpent):
            return None
        return GRACE_SECONDS if isinstance(self.reason, Interrupted) and engine_answers else 0.0

    def on_signals(self, at_once: Callable[[], None]) -> AbstractContextManager[None]:
        """Within the block a signal stops the run, or calls `at_once` if the run is stopping already."""
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            if self.reason:
                loop.call_soon_threadsafe(at_once)
            self.reason = self.reason or Interrupted()
            loop.call_soon_threadsafe(self._began.set)

        return on_signals(interrupt)


@contextmanager
def on_signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM call `interrupt`, between two bytecode instructions.

    Handlers of the event loop would wait for its next turn: seconds, with thousands of rows whose engine never waits.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: interrupt()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def unwritable(folder: Path, error: OSError) -> SynthError:
    return SynthError(f"{folder} cannot be written: {error.strerror or error}; what was written is kept")
