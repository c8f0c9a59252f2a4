"""A run that another process makes, or has left, as it is seen from outside. Writes nothing."""

import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.layout import Layout, PartialLayout

__all__ = ["Facts", "ObservedRun"]

POLL_SECONDS = 0.5
Facts = dict[str, Any]


@dataclass(frozen=True)
class ObservedRun:
    """The run that writes the directory `out`, observed through its files and its lock."""

    out: Path

    @classmethod
    def find(cls, named: Path) -> "ObservedRun":
        """The run with the output or the partial directory `named`. Raises `InputError` if there is none."""
        from synth.schemas.errors import InputError
        from synth.schemas.stores.places import origin

        run = cls.of(named)
        if run is None or run.state() == "absent":
            raise InputError(
                f"no run is making {origin(named)}, and it is no dataset directory: name the OUTPUT of a run"
            )
        return run

    @classmethod
    def of(cls, named: Path) -> "ObservedRun | None":
        """The run with the output or the partial directory `named`, which need not exist; None for the root."""
        from synth.schemas.layout import PARTIAL

        path = named.resolve() if named.name in ("", "..") else named
        return cls(path.with_name(path.name.removesuffix(PARTIAL))) if path.name.removesuffix(PARTIAL) else None

    def __str__(self) -> str:
        """What messages call its output."""
        from synth.schemas.stores.places import origin

        return origin(self.out)

    @property
    def layout(self) -> "Layout":
        from synth.schemas.layout import Layout

        return Layout(self.out)

    @property
    def partial(self) -> "PartialLayout":
        return self.layout.partial

    def state(self) -> Literal["absent", "running", "complete", "stopped"]:
        if self._is_locked():
            return "running"
        if self._is_complete():
            return "complete"
        return "stopped" if self.partial.path.is_dir() else "absent"

    def _is_locked(self) -> bool:
        """Whether a process makes the output, or a slice of it."""
        from synth.schemas.locks import is_locked, running_slices

        return is_locked(self.partial.lock) or bool(running_slices(self.partial))

    def _is_complete(self) -> bool:
        """Whether `out` exists and is no older than a partial directory: with `--fresh` both may exist."""
        record, begun = self.layout.record, self.partial.record
        if not self.layout.state.is_file():
            return False
        return not (record.is_file() and begun.is_file()) or record.stat().st_mtime >= begun.stat().st_mtime

    def progress(self) -> Facts | None:
        """The run's last report, or the sum of what its slices reported last; None before the first report."""
        from synth.schemas.errors import InputError

        if slices := self._slices():
            return _sum_of(slices)
        facts = _read(self.partial.progress)
        if facts is not None and not {"stage", "rows", "counts"} <= facts.keys():
            raise InputError(f"{self.partial.progress} was written by another version of synth")
        return facts

    def _slices(self) -> list[Facts]:
        """The last reports of the slices; none if a process that does all of the output has reported since."""
        from synth.pipelines.runtime.progress import reports_of_slices
        from synth.schemas.locks import running_slices

        partial, reports = self.partial, reports_of_slices(self.partial)
        times = {one: _changed(partial.slice(one).progress) for one in reports}
        latest = max(times, key=lambda one: times[one], default=None)
        if latest is None or _changed(partial.progress) > times[latest]:
            return []
        running = running_slices(partial)
        idle = {"in_flight": 0, "phase": None}
        # Slices of another number, which were done before, have the same chunks.
        return [facts if one in running else {**facts, **idle} for one, facts in reports.items() if one.of == latest.of]

    def observations(self) -> Iterator[Facts]:
        """The run's reports, twice a second, until it ends."""
        while self.state() == "running":
            if facts := self.progress():
                yield facts
            time.sleep(POLL_SECONDS)

    def how_to_resume(self) -> str:
        from synth.schemas.specs import command_folder

        facts = self.progress()
        begun = _read(self.partial.record) or {}
        where = f"at {_finished(facts):,} of {facts['rows']:,} rows" if facts else "before its first row"
        to = "publish them" if facts and _finished(facts) == facts["rows"] else "resume"
        failed = f", {facts['counts']['failed']:,} of them failed" if facts and facts["counts"]["failed"] else ""
        repeat = ""
        if begun.get("command"):
            folder = command_folder(begun, self.out)
            change = "" if folder.samefile(".") else f"cd {shlex.quote(str(folder))} && "
            repeat = f": {change}{shlex.join(['synth', *begun['command']])}"
        return f"the run that writes {self} has stopped {where}{failed}; repeat its command to {to}{repeat}"

    def record(self) -> Facts | None:
        """The record of the complete output; None if there is none."""
        return _read(self.layout.record)

    def completion(self) -> list[str]:
        from synth.cli.summaries import breakdown

        record = self.record()
        if not record or "counts" not in record:
            return [f"{self} is complete"]
        rows = f"{plural(record['counts']['outputs'], 'row')}, finished {record.get('finished', 'at an unknown time')}"
        return [f"{self} is complete: {rows}", *breakdown(record["counts"], record.get("means", {}))]


def _sum_of(slices: list[Facts]) -> Facts:
    from synth.pipelines.runtime.observation import Observation

    seen, *others = map(Observation.of, slices)
    for other in others:
        seen = seen.plus(other)
    seconds = {name: sum(facts[name] for facts in slices) for name in ("seconds", "engine_seconds")}
    return {
        "stage": slices[0]["stage"],
        **seconds,
        **seen.facts(),
        "rows": slices[0]["slice"]["input_rows"],
        "slices": len(slices),
    }


def _changed(path: Path) -> float:
    """When the file was last written; 0 if it is not there, or no longer."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read(path: Path) -> Facts | None:
    from synth.schemas.errors import InputError

    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path} is not a JSON object")
    return facts


def _finished(facts: Facts) -> int:
    counts = facts["counts"]
    return int(counts["produced"] + counts["rejected"] + counts["failed"])
