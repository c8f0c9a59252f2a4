"""What stops a run early: Ctrl-C, a dead engine, a spent budget, a full disk."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.schemas.errors import BudgetSpent, Interrupted, SynthError

__all__ = ["Stopping", "unwritable"]

# How long rows in flight may continue after the first Ctrl-C.
GRACE_SECONDS = 5.0


class Stopping:
    """Whether a run is stopping, and why: the first reason counts. `place` is the directory that it writes."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._began = asyncio.Event()
        self.reason: BaseException | None = None

    def stop(self, why: BaseException) -> None:
        if isinstance(why, OSError):
            why = unwritable(self._place, why)
        self.reason = self.reason or why
        self._began.set()

    async def wait(self) -> None:
        await self._began.wait()

    def grace(self, *, engine_answers: bool) -> float | None:
        """Seconds that the rows in progress may take to finish; None for no limit."""
        if isinstance(self.reason, BudgetSpent):
            return None
        return GRACE_SECONDS if isinstance(self.reason, Interrupted) and engine_answers else 0.0

    @contextmanager
    def on_signals(self, at_once: Callable[[], None]) -> Iterator[None]:
        """Within the block SIGINT and SIGTERM stop the run, and call `at_once` where it is stopping already."""

        loop = asyncio.get_running_loop()

        def interrupt(*_: object) -> None:
            # Called between two instructions, as the loop's own handlers are not: with thousands of rows whose engine
            # never waits, a turn of the loop takes seconds.
            if self.reason:
                loop.call_soon_threadsafe(at_once)
            self.reason = self.reason or Interrupted(
                "interrupted: finished work is kept, repeat the command to continue"
            )
            loop.call_soon_threadsafe(self._began.set)

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def unwritable(place: Path, error: OSError) -> SynthError:
    return SynthError(f"{place} cannot be written: {error.strerror or error}; what was written is kept")
