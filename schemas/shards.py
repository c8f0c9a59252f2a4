"""Shards: the Arrow files of a dataset directory, each written atomically and verified by its checksum."""

import hashlib
import os
from dataclasses import dataclass, replace
from io import RawIOBase
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from synth.schemas.atomic import remove, temporary_beside
from synth.schemas.errors import InputError
from synth.schemas.storable import require_openable

__all__ = ["ROWS_PER_SHARD", "Shard", "ShardWriter", "file_checksum"]

# The size of data files.
ROWS_PER_SHARD = 262_144
# Arrow's writes to a Python file wait for the GIL, so they are few and large.
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Shard:
    """One closed shard: its file name, rows, bytes and XXH3-128 checksum (hex).

    The name of a shard of a part begins with the folder of that part.
    """

    filename: str
    rows: int
    bytes: int
    xxh3: str

    @property
    def part(self) -> str:
        """The part of the rows that it belongs to; empty if they are not divided."""
        return self.filename.rpartition("/")[0]

    def within(self, part: str) -> "Shard":
        """The same shard, named from the folder above its part."""
        return replace(self, filename=f"{part}/{self.filename}") if part else self

    def is_whole(self, path: Path) -> bool:
        """Whether the file at `path` has all bytes that were written. Its checksum is for those who read them."""
        return path.is_file() and path.stat().st_size == self.bytes


def file_checksum(path: Path) -> str:
    """XXH3-128 (hex) of a file's bytes. Raises `InputError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


class _HashingFile(RawIOBase):
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._error: OSError | None = None
        self.size = 0
        self.hash = xxhash.xxh3_128()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        # A raw write may be partial, as on a nearly full disk. After an error Arrow writes once more when it releases
        # its buffer, and would report a second failure on stderr.
        rest = memoryview(b"" if self._error else data)
        while rest:
            try:
                written = self._file.write(rest) or 0
            except OSError as error:
                self._error = error
                raise
            self.hash.update(rest[:written])
            self.size += written
            rest = rest[written:]
        return len(data)

    def abandon(self) -> None:
        self._error = self._error or OSError("abandoned")

    def sync(self) -> None:
        """Raises `OSError` if a write failed."""
        if self._error:
            raise self._error
        os.fsync(self._file.fileno())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class ShardWriter:
    """Writes one Arrow IPC stream under a temporary name; `close` syncs and renames it.

    Raises `InputError` for columns that `datasets` cannot open.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        require_openable(schema)
        self._path = path
        self._temporary = temporary_beside(path)
        self._file = _HashingFile(self._temporary)
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._file, mode="w"), _BUFFER)
        self._stream = pa.ipc.new_stream(self._buffer, schema)
        self._rows = 0

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        self._stream.write(rows)
        self._rows += rows.num_rows

    def abandon(self) -> None:
        """Stop writing, discard what Arrow has buffered, and remove the file."""
        self._file.abandon()
        remove(self._temporary)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self.abandon()

    def close(self) -> Shard:
        self._stream.close()
        self._buffer.flush()
        self._file.sync()
        self._file.close()
        self._temporary.rename(self._path)
        return Shard(self._path.name, self._rows, self._file.size, self._file.hash.hexdigest())
