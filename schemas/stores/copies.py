"""Local copies of what is read in object stores: each object is fetched once, when it is first needed, and kept.

Copies lie in `$XDG_CACHE_HOME/synth/stores` (`~/.cache` by default):

    <digest>/                 the URL as it was listed; if an object changes, it is another one
      listing.json            the objects below the URL
      s3/bucket/key           the objects that were fetched

A path in a copy hence tells the URL of its object, in any process.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import xxhash

from synth.schemas.atomic import remove, temporary_beside, write_json
from synth.schemas.errors import InputError
from synth.schemas.stores.store import Store, Stored

__all__ = ["Copy", "as_needed", "entries", "origin", "present"]

# Objects are fetched in parts of this many bytes, and this many parts at once.
PART = 8 << 20
THREADS = 16
# Most files fetched before the first of them is read.
MOST_AHEAD = 64


@dataclass(frozen=True)
class Copy:
    """The copy of an object, or of all objects below a folder; `path` is where it lies."""

    root: Path
    path: Path
    objects: dict[Path, Stored]

    @classmethod
    def of(cls, url: str) -> "Copy":
        """List the objects of a URL; none is fetched. Raises `InputError` if there are none."""
        store, key = Store.of(url)
        found = store.below(key)
        if not found:
            single = store.find(key) if key else None
            if single is None:
                raise InputError(f"there is no object {store.url(key)}, and none below it")
            found = [single]
        listing = {"url": store.url(key), "objects": [astuple(stored) for stored in found]}
        root = _folder() / xxhash.xxh3_128(json.dumps(listing).encode()).hexdigest()
        file = root / "listing.json"
        if not file.is_file():
            root.mkdir(parents=True, exist_ok=True)
            write_json(file, listing)
        copy = _copy_in(root)
        (copy.path.parent if copy.is_file else copy.path).mkdir(parents=True, exist_ok=True)
        return copy

    @property
    def is_file(self) -> bool:
        return self.path in self.objects


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files and the folders in a folder, sorted; in a copy also those that were not fetched."""
    root = _root_of(folder)
    if root is None:
        found = sorted(folder.iterdir())
        return [entry for entry in found if entry.is_file()], [entry for entry in found if entry.is_dir()]
    below = [path for path in _copy_in(root).objects if path.is_relative_to(folder)]
    folders = {folder / path.relative_to(folder).parts[0] for path in below if path.parent != folder}
    return sorted(path for path in below if path.parent == folder), sorted(folders)


def origin(path: Path) -> str:
    """The URL of a path in a copy; any other path as it is."""
    root = _root_of(path)
    if root is None:
        return str(path)
    scheme, *parts = path.relative_to(root).parts
    return f"{scheme}://{'/'.join(parts)}"


def present(files: Sequence[Path]) -> None:
    """Fetch those of these files that belong to copies and are not there yet. Does nothing for other files.

    Raises `InputError` if one cannot be fetched; those that are complete are kept.
    """
    missing: dict[Path, list[Path]] = {}
    for file in files:
        if (root := _root_of(file)) and not file.exists():
            missing.setdefault(root, []).append(file)
    for root, wanted in missing.items():
        _fetch(_copy_in(root), wanted)


def as_needed(files: Sequence[Path]) -> Iterator[Path]:
    """The files in order, each fetched before it is needed: the first alone, then ever more at once."""
    start, number = 0, 1
    while some := files[start : start + number]:
        present(some)
        yield from some
        start, number = start + number, min(2 * number, MOST_AHEAD)


def _folder() -> Path:
    return _absolute(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "synth" / "stores"


def _root_of(path: Path) -> Path | None:
    """The root of the copy that a path belongs to; None if it belongs to none."""
    folder = _folder()
    return folder / path.relative_to(folder).parts[0] if folder in path.parents else None


@lru_cache
def _absolute(folder: str) -> Path:
    return Path(folder).expanduser().resolve()


@lru_cache
def _copy_in(root: Path) -> Copy:
    try:
        listing = json.loads((root / "listing.json").read_text())
    except OSError as error:
        raise InputError(f"{root} was removed while it was in use: repeat the command") from error
    store, key = Store.of(listing["url"])
    top = root / store.scheme / store.bucket
    return Copy(root, top / key, {top / each[0]: Stored(*each) for each in listing["objects"]})


def _fetch(copy: Copy, files: Sequence[Path]) -> None:
    for file in files:
        if file not in copy.objects:
            raise InputError(f"there is no object {origin(file)}")
    store, _ = Store.of(origin(copy.path))
    arriving = [_Arriving(store, copy.objects[file], file) for file in files]
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for part in as_completed([pool.submit(each.take, start) for each in arriving for start in each.starts]):
                part.result()
        except BaseException as error:
            pool.shutdown(cancel_futures=True)
            for each in arriving:
                each.abandon()
            if isinstance(error, OSError):
                raise InputError(
                    f"{origin(copy.path)} cannot be kept in {_folder()} ({error.strerror}): "
                    "set XDG_CACHE_HOME to a folder that has room for it"
                ) from error
            raise


class _Arriving:
    """A file whose parts arrive in any order; it gets its name with the last one."""

    def __init__(self, store: Store, stored: Stored, file: Path) -> None:
        self.starts = range(0, max(stored.size, 1), PART)
        self._store = store
        self._stored = stored
        self._file = file
        self._temporary = temporary_beside(file)
        self._missing = len(self.starts)
        self._lock = Lock()

    def take(self, start: int) -> None:
        end = min(start + PART, self._stored.size)
        part = self._store.read(self._stored, start, end) if start < end else memoryview(b"")
        if len(part) != end - start:
            raise InputError(f"{origin(self._file)} ended early: {len(part):,} bytes came instead of {end - start:,}")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._temporary, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
            file.seek(start)
            file.write(part)
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._temporary.rename(self._file)

    def abandon(self) -> None:
        with suppress(OSError):
            remove(self._temporary)
