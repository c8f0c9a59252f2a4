"""The events file of a run, for whoever watches from outside: a JSON object on each line, appended as things happen."""

import json
import logging
import os
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.observation import Observation
from synth.schemas.errors import Interrupted, Partial, SynthError, UsageError
from synth.schemas.stores.places import origin

__all__ = ["Events", "event_line"]

# Everything that is warned of goes through it.
_LOGGER = logging.getLogger("synth")


def event_line(event: str, state: str, **facts: Any) -> str:
    """The line of an event. `state` is that of the run: `running`, or how it has ended."""
    return json.dumps({"event": event, "state": state, **facts}, ensure_ascii=False) + "\n"


class Events:
    """Tells the file `path` about one run of `stage`, from the start to the end of a `with` block.

    Without a path it does nothing. Raises `UsageError` if the file cannot be written at the start; a later error is
    warned of once, and the run goes on.
    """

    def __init__(self, path: Path | None, stage: str, out: Path) -> None:
        self._path = path
        self._run = {"stage": stage, "out": origin(out), "pid": os.getpid()}
        self._file: int | None = None
        self._seen = Observation()
        self._told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if self._path:
            try:
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise UsageError(f"--events {self._path} cannot be written: {error.strerror}") from error
            _LOGGER.addFilter(self._warned)
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        _LOGGER.removeFilter(self._warned)
        if error is not None:
            state = {Interrupted: "interrupted", Partial: "partial"}
            ended = next((word for kind, word in state.items() if isinstance(error, kind)), "failed")
            reason = str(error) if isinstance(error, SynthError) else f"{type(error).__name__}: {error}"
            self._end(ended, getattr(error, "exit_code", SynthError.exit_code), self._seen.counts, reason=reason)
        if self._file is not None:
            os.close(self._file)

    def start(self, rows: int) -> None:
        """The input is read: `rows` are to be processed."""
        self._tell("start", rows=rows)

    def observe(self, seen: Observation) -> None:
        """A line for a new phase, and one if anything else has changed."""
        if self._file is None:
            return
        self._seen = seen
        facts = seen.facts()
        if seen.phase and seen.phase != self._told.get("phase"):
            self._tell("phase", phase=seen.phase)
        if seen.rows and facts != self._told:
            self._tell("progress", **facts)
        self._told = facts

    def complete(self, counts: Counts, reason: str) -> None:
        self._end("complete", 0, counts, reason)

    def _end(self, state: str, exit_code: int, counts: Counts, reason: str) -> None:
        self._tell("end", state, exit_code=exit_code, reason=reason, counts=asdict(counts))

    def _warned(self, record: logging.LogRecord) -> bool:
        """A filter rather than a handler: with a handler, `logging` would no longer print warnings by itself."""
        self._tell("warning", message=record.getMessage())
        return True

    def _tell(self, event: str, state: str = "running", **facts: Any) -> None:
        if self._file is None:
            return
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = event_line(event, state, time=when, **self._run, **facts)
        try:
            os.write(self._file, line.encode())
        except OSError as error:
            os.close(self._file)
            self._file = None
            _LOGGER.warning("--events %s cannot be written any more: %s", self._path, error.strerror)
