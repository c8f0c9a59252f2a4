"""A run that another process makes, or has left, as it is seen from outside. Writes nothing."""

import fcntl
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
        """Whether a process has locked the partial directory."""
        try:
            with self.partial.lock.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        return False

    def _is_complete(self) -> bool:
        """Whether `out` exists and is no older than a partial directory: with `--fresh` both may exist."""
        record, begun = self.layout.record, self.partial.record
        if not self.layout.state.is_file():
            return False
        return not (record.is_file() and begun.is_file()) or record.stat().st_mtime >= begun.stat().st_mtime

    def progress(self) -> Facts | None:
        """The run's last report; None before the first one."""
        from synth.schemas.errors import InputError

        facts = _read(self.partial.progress)
        if facts is not None and not {"stage", "rows", "counts"} <= facts.keys():
            raise InputError(f"{self.partial.progress} was written by another version of synth")
        return facts

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
        failed = f", {facts['counts']['failed']:,} of them failed" if facts and facts["counts"]["failed"] else ""
        repeat = ""
        if begun.get("command"):
            folder = command_folder(begun, self.out)
            change = "" if folder.samefile(".") else f"cd {shlex.quote(str(folder))} && "
            repeat = f": {change}{shlex.join(['synth', *begun['command']])}"
        return f"the run that writes {self} has stopped {where}{failed}; repeat its command to resume{repeat}"

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
