"""Engines for workers elsewhere: they write down what they are asked, and some of them die."""

import asyncio
import os
import signal
import time
from pathlib import Path

from synth.pipelines.engines import Answer, Request
from synth.schemas.errors import EngineFailed
from tests.faults.campaign import WritingEngine


class Slow(WritingEngine):
    """Takes so many seconds for an answer."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        super().__init__(log)
        self._seconds = seconds

    async def answer(self, request: Request) -> Answer:
        await asyncio.sleep(self._seconds)
        return await super().answer(request)


class Split(Slow):
    """A model that is split over two GPUs; it notes which ones it was given."""

    gpus_wanted = 2

    async def start(self) -> None:
        self._log.with_name(f"gpus-{os.getpid()}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])


class Deadly(Slow):
    """Fails for good so many times, over all processes, each time it is asked about `at`, else at its tenth answer."""

    def __init__(self, log: Path, deaths: int, *, at: str = "", starts: bool = True) -> None:
        super().__init__(log)
        self._at = at
        self._starts = starts
        self._answered = 0
        self._deaths = [log.with_name(f"{log.name}.death-{number}") for number in range(deaths)]
        for death in self._deaths:
            death.touch()

    async def start(self) -> None:
        if not self._starts:
            raise EngineFailed("there is no memory for it")

    async def answer(self, request: Request) -> Answer:
        self._answered += 1
        is_due = request.prompt == self._at if self._at else self._answered == 10
        if is_due:
            for death in self._deaths:
                try:
                    death.unlink()
                except FileNotFoundError:
                    continue
                await self.die()
        return await super().answer(request)

    async def die(self) -> None:
        if self._at:
            # By then all other rows have ended.
            await asyncio.sleep(2)
            os.kill(os.getpid(), signal.SIGKILL)
        raise EngineFailed("it has died")


class Stuck(Deadly):
    """Hangs instead, and its process with it."""

    async def die(self) -> None:
        time.sleep(600)  # noqa: ASYNC251
