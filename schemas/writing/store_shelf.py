"""An output, and the finished chunks of its run, in an object store.

It is made in a workplace on this machine, which has all files of `OUT.partial`. Those that others need, or that must
outlive the machine, are in the store as well, under the same names:

    URL.partial/  synth.json
      <run>/      shards/, the journals of chunks that were left open, and ledgers
    URL/          as in a directory; state.json comes last, and data files that it lists are never overwritten

Workers elsewhere have such a workplace for all of them on a machine, and fetch what they need.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from synth.schemas.atomic import json_text, remove, write_json
from synth.schemas.errors import InputError, SynthError
from synth.schemas.layout import Journals
from synth.schemas.locks import lock, lock_alone, turn
from synth.schemas.shards import Shard
from synth.schemas.stores.places import is_output, origin
from synth.schemas.stores.store import Store, Stored
from synth.schemas.stores.transfer import fetch, send
from synth.schemas.writing.shelf import Shelf, read_record

__all__ = ["StoreShelf", "shelf_of"]

_JSON = ".json"
# How long a worker waits for others of its machine, which work for another run.
PATIENCE_SECONDS = 30.0


@cache
def shelf_of(final: Path) -> Shelf:
    """The shelf of the output at this path, which stands for a place in a store if it is one of `output_at`."""
    return StoreShelf(final) if is_output(final) else Shelf(final)


class StoreShelf(Shelf):
    """A place in a store, which `out` stands for. The JSON files of the complete output are kept there as well.

    Each run that starts has a name of its own, in its record. What workers of another run may still write does not
    meet its objects, and work on this machine that is of another run is removed.
    """

    def __init__(self, final: Path) -> None:
        super().__init__(final)
        self._store, key = Store.of(origin(final))
        self._bucket = final.parents[key.count("/")]
        # The objects that were there when they were last listed: those of the output, and those of the run.
        self._seen: dict[Path, Stored] = {}
        # Journals among them, by the folder of their chunk.
        self._journals: dict[Path, list[Path]] = {}
        self._has_objects = False
        self._know({})
        self._lock: int | None = None

    def look(self) -> None:
        everything = {stored.key for stored in self._store.below(self._key(self.partial.path))}
        self._has_objects = bool(everything)
        self._know(self._read(self.partial.record) if self._key(self.partial.record) in everything else {})
        there = self.listed(self.out.path)
        self._see({**there, **(self.listed(self.partial.path) if self._begun else {})})
        if self.out.state not in there and self._begun:
            # A publication that was interrupted.
            there = {}
        self.tag = secrets.token_hex(4) if self.out.state in there else ""
        self._mirror(there)

    def _know(self, begun: dict[str, Any]) -> None:
        """What is begun is this run, or one that starts now."""
        self._begun = begun
        self._run: str = begun.get("run") or secrets.token_hex(8)

    def begun(self) -> dict[str, Any]:
        return self._begun

    def has_work(self) -> bool:
        return bool(self._records()) or (self._is_of_the_run() and super().has_work())

    def has_remains(self) -> bool:
        return (self.partial.path.is_dir() or self._has_objects) and not self._begun.get("replaces")

    def take(self) -> None:
        if not self._is_of_the_run():
            for entry in self.partial.path.iterdir():
                if entry not in (self.partial.lock, self.partial.turn):
                    remove(entry)
        self._bring_new()

    def begin(self, record: Mapping[str, Any]) -> None:
        is_new, self._begun = not self._begun, {**record, "run": self._run}
        text = json_text(self._begun).encode()
        # Also tells whether the store can be written to, before anything is asked for.
        is_written = self._store.put(self._key(self.partial.record), text, create=is_new)
        if not is_written and self._read(self.partial.record).get("run") != self._run:
            self._know({})
            raise SynthError(f"{origin(self.out.path)} was just begun by another synth process: repeat the command")
        super().begin(self._begun)

    def clear(self) -> None:
        record = self._key(self.partial.record)
        keys = [stored.key for stored in self._store.below(self._key(self.partial.path))]
        # First, so that what a kill leaves of a run is none.
        for some in ([key for key in keys if key == record], [key for key in keys if key != record]):
            if some:
                self._store.delete(some)
        self._know({})
        self._see(self._below(self.out.path))

    def join(self, begun: str) -> bool:
        self._know(self._read_if_there(self.partial.record))
        if self._begun != json.loads(begun):
            return False
        partial = self.partial
        partial.path.mkdir(parents=True, exist_ok=True)
        with turn(partial.turn):
            if not self._is_of_the_run():
                alone = self._alone()
                self.take()
                write_json(partial.record, self._begun)
                os.close(alone)
            # None where the driver is.
            self._lock = lock(partial.lock, shared=True)
        for folder in (partial.shards, partial.work, partial.kept.path):
            folder.mkdir(exist_ok=True)
        self._see(self.listed(partial.work) | self.listed(partial.prior) | self._found(partial.prepared))
        self.fetch([partial.prepared, *self._below(partial.prior)])
        return True

    def _alone(self) -> int:
        """The lock of the workplace on this machine, when workers of another run have ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (alone := lock(self.partial.lock)) is None:
            if time.monotonic() > deadline:
                raise SynthError(f"{self.partial.path} is used by another run: end its workers")
            time.sleep(0.1)
        return alone

    def leave(self) -> None:
        if self._lock is not None:
            # The last worker of this machine; what it has made is in the store.
            if lock_alone(self._lock):
                shutil.rmtree(self.partial.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def announce(self, journals: Journals) -> None:
        self._store.put(self._key(journals.rows), b"", create=True)

    def share(self, files: Iterable[Path]) -> None:
        new = [file for file in files if file.exists() and not self._is_shared(file)]
        send(self._store, {self._key(file): file for file in new})

    def leases(self, chunk: int) -> dict[str, int]:
        shared: dict[str, int] = {}
        for path, stored in self.listed(self.partial.work_on(chunk)).items():
            shared[path.parent.name] = shared.get(path.parent.name, 0) + stored.size
        return shared | super().leases(chunk)

    def fetch_journals(self, chunk: int) -> None:
        journals = self._journals.get(self.partial.work_on(chunk), ())
        # An empty one was only announced.
        self.fetch(path for path in journals if self._seen[path].size)

    def update(self) -> None:
        self._seen |= self.listed(self.partial.path)
        self._bring_new()

    def create(self, record: Path, value: Mapping[str, Any], files: Sequence[Path]) -> bool:
        self.share(files)
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
        kept = {self.out.answers.path, self.out.failed}
        self.fetch(path for path in self._below(self.out.path) if kept & {*path.parents})

    def fetch_output(self) -> None:
        self.fetch(self._below(self.out.path))

    def publish(self) -> None:
        if self._read_if_there(self.partial.record).get("run") != self._run:
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
        self._delete(path for path, stored in self._below(self.out.path).items() if stored.key not in keys.values())
        self.clear()
        for file in files:
            if file.suffix != _JSON:
                file.unlink()
        remove(self.out.path)
        whole.path.rename(self.out.path)
        shutil.rmtree(self.partial.path)

    def listed(self, folder: Path) -> dict[Path, Stored]:
        """The objects below a folder, by the paths that stand for them."""
        key = self._key(folder) if folder != self.partial.path else self._key_of_run
        return {self._path(stored.key): stored for stored in self._store.below(key)}

    def _found(self, path: Path) -> dict[Path, Stored]:
        stored = self._store.find(self._key(path))
        return {path: stored} if stored else {}

    def _is_of_the_run(self) -> bool:
        """Whether the workplace is one of the run that has begun in the store."""
        return read_record(self.partial.record).get("run") == self._begun.get("run")

    def _is_shared(self, file: Path) -> bool:
        """Whether a file, which only ever grows, is there already."""
        return file in self._seen and self._seen[file].size == file.stat().st_size

    def _records(self) -> list[Path]:
        """The records of the published chunks."""
        return [path for path in self._seen if path.parent == self.partial.shards and path.suffix == _JSON]

    def _see(self, objects: dict[Path, Stored]) -> None:
        self._seen, self._journals = objects, {}
        for path in self._below(self.partial.work):
            self._journals.setdefault(path.parents[1], []).append(path)

    def _below(self, folder: Path) -> dict[Path, Stored]:
        return {path: stored for path, stored in self._seen.items() if folder in path.parents}

    def _bring_new(self) -> None:
        """Bring the records of published chunks, and ledgers that others have continued."""
        ledgers = self._below(self.partial.ledgers)
        longer = [path for path, stored in ledgers.items() if not path.exists() or path.stat().st_size < stored.size]
        self._bring([*longer, *(path for path in self._records() if not path.exists())])

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

    def _delete(self, paths: Iterable[Path]) -> None:
        if keys := [self._key(path) for path in paths]:
            self._store.delete(keys)

    def _read(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._store.get(self._key(path)))
        return found

    def _read_if_there(self, path: Path) -> dict[str, Any]:
        return self._read(path) if self._store.find(self._key(path)) else {}

    @property
    def _key_of_run(self) -> str:
        return f"{self._key(self.partial.path)}/{self._run}"

    def _key(self, path: Path) -> str:
        """The key of a file; in the workplace, below the name of the run."""
        if self.partial.path in path.parents and path != self.partial.record:
            return f"{self._key_of_run}/{path.relative_to(self.partial.path).as_posix()}"
        return path.relative_to(self._bucket).as_posix()

    def _path(self, key: str) -> Path:
        of_run = key.removeprefix(f"{self._key_of_run}/")
        return self._bucket / key if of_run == key else self.partial.path / of_run
