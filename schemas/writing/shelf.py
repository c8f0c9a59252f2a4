"""Where an output and the finished chunks of its run lie, for all who work on it: a directory, or a place in a store.

Both have the same files under the same names. An output in a store is made in a workplace on this machine, which has
all files of `OUT.partial`. Those that others need, or that must outlive the machine, are in the store as well:

    URL.partial/  synth.json  shards/  and the journals of chunks with failed rows
    URL/          as in a directory; state.json comes last, and data files that it lists are never overwritten
"""

import json
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from synth.schemas.atomic import create_json, json_text, remove, sync, write_json
from synth.schemas.errors import InputError, SynthError
from synth.schemas.layout import Layout
from synth.schemas.shards import Shard
from synth.schemas.stores.places import is_output, origin
from synth.schemas.stores.store import Store, Stored
from synth.schemas.stores.transfer import fetch, send

__all__ = ["Shelf", "StoreShelf", "shelf_of"]

_JSON = ".json"


@cache
def shelf_of(final: Path) -> "Shelf":
    """The shelf of the output at this path, which stands for a place in a store if it is one of `output_at`."""
    return StoreShelf(final) if is_output(final) else Shelf(final)


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
        return _read(self.partial.record)

    def has_work(self) -> bool:
        """Whether that run has done anything that can be used again."""
        partial = self.partial
        # Shards count only once their chunk is published; a stage rewrites others.
        begun = (path for folder in (partial.work, partial.prior, partial.kept.path) for path in folder.rglob("*"))
        return bool(partial.published_chunks()) or any(path.is_file() for path in begun)

    def has_remains(self) -> bool:
        """Whether there is anything of a run that has ended."""
        return self.partial.path.is_dir() and not self.begun().get("anew")

    def take(self) -> None:
        """Make the workplace one of the run that has begun; its lock is held."""

    def begin(self, record: Mapping[str, Any]) -> None:
        """Record the run."""
        write_json(self.partial.record, record)

    def clear(self) -> None:
        """Remove what is not in the workplace on this machine."""

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


class StoreShelf(Shelf):
    """A place in a store, which `out` stands for. The JSON files of the complete output are kept there as well.

    Each run that starts has a name of its own, in its record: work on this machine that is of another run is removed.
    """

    def __init__(self, final: Path) -> None:
        super().__init__(final)
        self._store, key = Store.of(origin(final))
        self._bucket = final.parents[key.count("/")]
        # The objects that were there when they were last listed.
        self._seen: dict[Path, Stored] = {}
        self._begun: dict[str, Any] = {}

    def look(self) -> None:
        self._seen = {**self.listed(self.out.path), **self.listed(self.partial.path)}
        self._begun = self._read(self.partial.record) if self.partial.record in self._seen else {}
        there = self._below(self.out.path)
        if self.out.state not in there and self._begun:
            # A publication that was interrupted.
            there = {}
        self.tag = secrets.token_hex(4) if self.out.state in there else ""
        self._mirror(there)

    def begun(self) -> dict[str, Any]:
        return self._begun

    def has_work(self) -> bool:
        return bool(self._records()) or (self._is_of_the_run() and super().has_work())

    def has_remains(self) -> bool:
        is_left = self.partial.path.is_dir() or bool(self._below(self.partial.path))
        return is_left and not self._begun.get("anew")

    def take(self) -> None:
        if not self._is_of_the_run():
            for entry in self.partial.path.iterdir():
                if entry != self.partial.lock:
                    remove(entry)
        self.fetch(self._records())

    def begin(self, record: Mapping[str, Any]) -> None:
        self._begun = {**record, "run": self._begun.get("run") or secrets.token_hex(8)}
        # Also tells whether the store can be written to, before anything is asked for.
        self._store.put(self._key(self.partial.record), json_text(self._begun).encode())
        super().begin(self._begun)

    def clear(self) -> None:
        there = self.listed(self.partial.path)
        # First, so that what a kill leaves of a run is none.
        self._delete([path for path in there if path == self.partial.record])
        self._delete(there)
        self._begun = {}
        self._seen = self._below(self.out.path)

    def create(self, record: Path, value: Mapping[str, Any], files: Sequence[Path]) -> bool:
        send(self._store, {self._key(file): file for file in files if file.exists()})
        text = json_text(value)
        is_first = self._store.put(self._key(record), text.encode(), create=True)
        # A request whose answer was lost is sent again, and then finds its own record.
        if is_first or self._read(record) == json.loads(text):
            write_json(record, value)
            return True
        write_json(record, self._read(record))
        self.discard(files)
        return False

    def withdraw(self, record: Path) -> None:
        self._delete([record])
        super().withdraw(record)

    def discard(self, files: Iterable[Path]) -> None:
        files = list(files)
        self._delete(files)
        super().discard(files)

    def is_whole(self, shard: Shard) -> bool:
        stored = self._seen.get(self.partial.shards / shard.filename)
        return super().is_whole(shard) or (stored is not None and stored.size == shard.bytes)

    def fetch(self, files: Iterable[Path]) -> None:
        missing = {file for file in files if not file.exists()}
        if missing - self._seen.keys():
            self._seen |= self.listed(self.partial.path)
        self._bring(missing & self._seen.keys())

    def fetch_answers(self) -> None:
        kept = (self.out.answers.path, self.out.failed)
        self.fetch(path for path in self._below(self.out.path) if {*kept} & {*path.parents})

    def fetch_output(self) -> None:
        self.fetch(self._below(self.out.path))

    def publish(self) -> None:
        if self._read_if_there(self.partial.record).get("run") != self._begun["run"]:
            raise SynthError(f"{origin(self.out.path)} was just written by another synth process: repeat the command")
        whole = self.partial.whole
        files = [file for file in whole.path.rglob("*") if file.is_file()]
        last = (whole.record, whole.state)
        keys = {file: self._key(self.out.path / file.relative_to(whole.path)) for file in files}
        for some in (
            [file for file in files if file.suffix != _JSON],
            [file for file in files if file.suffix == _JSON and file not in last],
            *([file] for file in last),
        ):
            send(self._store, {keys[file]: file for file in some})
        # What came since it was listed is not ours.
        replaced = [path for path, stored in self._below(self.out.path).items() if stored.key not in keys.values()]
        self._delete(replaced)
        self.clear()
        for file in files:
            if file.suffix != _JSON:
                file.unlink()
        remove(self.out.path)
        whole.path.rename(self.out.path)
        shutil.rmtree(self.partial.path)

    def _is_of_the_run(self) -> bool:
        """Whether the workplace is one of the run that has begun in the store."""
        return _read(self.partial.record).get("run") == self._begun.get("run")

    def _records(self) -> list[Path]:
        """The records of the published chunks."""
        return [path for path in self._seen if path.parent == self.partial.shards and path.suffix == _JSON]

    def _below(self, folder: Path) -> dict[Path, Stored]:
        return {path: stored for path, stored in self._seen.items() if folder in path.parents}

    def _mirror(self, there: Mapping[Path, Stored]) -> None:
        """Have the JSON files of the complete output here, and of its other files those that have not changed."""
        if not there:
            remove(self.out.path)
            return
        for file in list(self.out.path.rglob("*")):
            if file.is_file() and (file not in there or file.stat().st_size != there[file].size):
                file.unlink()
        self.out.path.mkdir(parents=True, exist_ok=True)
        self._bring(path for path in there if path.suffix == _JSON)

    def _bring(self, files: Iterable[Path]) -> None:
        try:
            fetch(self._store, {file: self._seen[file] for file in files})
        except OSError as error:
            raise InputError(
                f"{self.partial.path} cannot be written ({error.strerror}): set XDG_STATE_HOME to a folder that has "
                f"room for {origin(self.out.path)}"
            ) from error

    def listed(self, folder: Path) -> dict[Path, Stored]:
        """The objects below a folder, by the paths that stand for them."""
        return {self._bucket / stored.key: stored for stored in self._store.below(self._key(folder))}

    def _delete(self, paths: Iterable[Path]) -> None:
        if keys := [self._key(path) for path in paths]:
            self._store.delete(keys)

    def _read(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._store.get(self._key(path)))
        return found

    def _read_if_there(self, path: Path) -> dict[str, Any]:
        return self._read(path) if self._store.find(self._key(path)) else {}

    def _key(self, path: Path) -> str:
        return path.relative_to(self._bucket).as_posix()


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found
