"""Where an output and the finished chunks of its run lie, for all who work on it: a directory.

It is the workplace of all workers, so most of what a shelf does for workers on several disks is nothing here.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.schemas.atomic import create_json, sync, write_json
from synth.schemas.layout import Journals, Layout
from synth.schemas.shards import Shard

__all__ = ["Shelf", "read_record"]


class Shelf:
    """A directory that all workers write to: what one has written, the others see."""

    # Part of the names of data files, where those of an earlier output must stay until it is replaced.
    tag = ""

    def __init__(self, final: Path) -> None:
        self.out = Layout(final)
        self.partial = self.out.partial

    def look(self) -> None:
        """See what is there now."""

    def begun(self) -> dict[str, Any]:
        """The record of the run that has begun here; empty if there is none."""
        return read_record(self.partial.record)

    def has_work(self) -> bool:
        """Whether that run has done anything that can be used again."""
        partial = self.partial
        # Shards count only once their chunk is published; a stage rewrites others.
        begun = (partial.work, partial.prior, partial.kept.path)
        return bool(partial.published_chunks()) or any(files for folder in begun for *_, files in os.walk(folder))

    def has_remains(self) -> bool:
        """Whether there is anything of a run that has ended."""
        return self.partial.path.is_dir() and not self.begun().get("replaces")

    def take(self) -> None:
        """Make the workplace one of the run that has begun; its lock is held."""

    def begin(self, record: Mapping[str, Any]) -> None:
        """Record the run."""
        write_json(self.partial.record, record)

    def clear(self) -> None:
        """Remove what is not in the workplace on this machine."""

    def join(self, begun: str) -> bool:
        """Prepare to work for the run with this record, on whatever machine; False if it is not seen from here."""
        return self.partial.record.is_file() and self.partial.record.read_text() == begun

    def leave(self) -> None:
        """The work is done."""

    def announce(self, journals: Journals) -> None:
        """Let others see that a lease has begun."""

    def share(self, files: Iterable[Path]) -> None:
        """Let others see files."""

    def leases(self, chunk: int) -> dict[str, int]:
        """The leases of a chunk that have left journals, and the bytes in them."""
        return {journals.folder.name: journals.size() for journals in self.partial.journals_of(chunk)}

    def fetch_journals(self, chunk: int) -> None:
        """Bring the journals of a chunk here that others have shared."""

    def update(self) -> None:
        """Bring the records of published chunks and the ledgers here that have come since."""

    def create(self, record: Path, value: Mapping[str, Any], files: Sequence[Path]) -> bool:
        """Write a record that refers to these files; False if there is one already, then the files are removed."""
        if create_json(record, value):
            return True
        self.discard(files)
        return False

    def withdraw(self, record: Path) -> None:
        """Remove a record."""
        record.unlink()

    def discard(self, files: Iterable[Path]) -> None:
        """Remove files that no record refers to."""
        for file in files:
            file.unlink(missing_ok=True)

    def is_whole(self, shard: Shard) -> bool:
        """Whether the shard is there, and not cut off."""
        return shard.is_whole(self.partial.shards / shard.filename)

    def fetch(self, files: Iterable[Path]) -> None:
        """Bring files here that other workers have put there; those that nobody has are left out."""

    def fetch_answers(self) -> None:
        """Bring the answers here that the complete output has kept."""

    def fetch_output(self) -> None:
        """Bring all files of the complete output here."""

    def publish(self) -> None:
        """Make `whole` the output, in place of an earlier one, and remove the workplace."""
        out, whole, replaced = self.out.path, self.partial.whole.path, self.partial.replaced
        if out.exists():
            out.rename(replaced)
        whole.rename(out)
        # Without its record, a partly removed directory counts as remains.
        self.partial.record.unlink(missing_ok=True)
        sync(out.parent)
        shutil.rmtree(self.partial.path)


def read_record(path: Path) -> dict[str, Any]:
    """A record in JSON; empty if it is not there."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found
