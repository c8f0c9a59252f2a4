"""Objects on their way between a store and the disk, many at a time."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from threading import Lock

from synth.schemas.atomic import remove, temporary_beside
from synth.schemas.errors import InputError
from synth.schemas.stores.store import Store, Stored

__all__ = ["fetch", "send"]

# Objects are fetched in parts of this many bytes, and this many parts at once.
PART = 8 << 20
THREADS = 16
# Files sent at once; large ones are sent in parts, several at once, as well.
SENDING = 4


def fetch(store: Store, wanted: Mapping[Path, Stored]) -> None:
    """Fetch objects, each to its path, where it appears when it is complete, in place of a file that is there.

    Raises `InputError` if one cannot be fetched, `OSError` if it cannot be written; those that are complete are kept.
    """
    arriving = [_Arriving(store, stored, file) for file, stored in wanted.items()]
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for part in as_completed([pool.submit(each.take, start) for each in arriving for start in each.starts]):
                part.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            for each in arriving:
                each.abandon()
            raise


def send(store: Store, files: Mapping[str, Path]) -> None:
    """Store files, each under its key. Raises `InputError` if one cannot be stored."""
    with ThreadPoolExecutor(SENDING) as pool:
        try:
            for sent in as_completed([pool.submit(store.put, key, file) for key, file in files.items()]):
                sent.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
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
            url = self._store.url(self._stored.key)
            raise InputError(f"{url} ended early: {len(part):,} bytes came instead of {end - start:,}")
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
