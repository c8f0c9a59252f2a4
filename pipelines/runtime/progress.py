"""Reports the progress of a run, and sums up its time."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from synth.pipelines.runtime.observation import Observation, Observer
from synth.schemas.atomic import write_json
from synth.schemas.layout import PartialLayout
from synth.schemas.slices import Slice

__all__ = ["Progress", "reports_of_slices"]

OBSERVE_SECONDS = 0.5


class Progress:
    """Reports to the caller and to `progress.json`, which `synth watch` reads. A slice has a file of its own.

    A resumed run adds its time to that of earlier runs, so that the record has the total cost; a run of the whole
    output also adds that of all `slices`, whose reports it reads.
    """

    def __init__(
        self, layout: PartialLayout, part: Slice | None, stage: str, rows: int, observe: Observer, started: float
    ) -> None:
        self._path = (layout.slice(part) if part else layout).progress
        self.slices = [] if part else list(reports_of_slices(layout).values())
        self._stage = stage
        self._observe = observe
        self._started = started
        self._seen = Observation(rows)
        self._is_told = True
        self._next = 0.0
        self.engine_seconds: Callable[[], float] = lambda: 0.0
        # What a slice reports besides, for those who read all slices.
        self.of_slice: Callable[[], dict[str, Any]] | None = None
        self._before = {"seconds": 0.0, "engine_seconds": 0.0}
        with contextlib.suppress(OSError, ValueError):
            earlier = json.loads(self._path.read_text())
            self._before = {name: float(earlier[name]) for name in self._before}

    def __enter__(self) -> None:
        # Also ends the phase in which the input was read.
        self.observe(self._seen)

    def __exit__(self, *_: object) -> None:
        self._write()
        if not self._is_told:
            self._observe(self._seen)

    @property
    def spent(self) -> dict[str, float]:
        """The seconds of this process, of earlier ones, and of slices."""
        return {name: own + sum(one[name] for one in self.slices) for name, own in self._own.items()}

    @property
    def _own(self) -> dict[str, float]:
        current = {"seconds": time.monotonic() - self._started, "engine_seconds": self.engine_seconds()}
        return {name: before + current[name] for name, before in self._before.items()}

    def observe(self, seen: Observation) -> None:
        self._seen, self._is_told = seen, False
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + OBSERVE_SECONDS
            self._write()
            self._observe(seen)
            self._is_told = True

    def _write(self) -> None:
        facts = {"stage": self._stage, "pid": os.getpid(), **self._own, **self._seen.facts()}
        if self.of_slice:
            facts["slice"] = self.of_slice()
        # If this fails, so do the journals, and they report it.
        with contextlib.suppress(OSError):
            write_json(self._path, facts, durable=False)


def reports_of_slices(layout: PartialLayout) -> dict[Slice, dict[str, Any]]:
    """What the process of each slice, running or not, has reported last."""
    reports = {}
    for one in layout.slices():
        # Before its first report there is none.
        with contextlib.suppress(OSError):
            reports[one] = json.loads(layout.slice(one).progress.read_text())
    return reports
