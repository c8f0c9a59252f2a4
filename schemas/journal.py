"""Append-only journals: Arrow IPC streams that survive truncation at any byte.

A journal is one schema message, then record batches, each with a checksum of its message in its metadata. Whatever
follows the last intact batch (a torn tail, or bytes corrupted by a power cut) is truncated when the journal is opened.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import xxhash

from synth.schemas.atomic import atomic
from synth.schemas.errors import SynthError

__all__ = [
    "Journal",
    "batch_of_columns",
    "copied_journal",
    "join_journals",
    "journal_batches",
    "read_batch",
    "read_journal",
]

_MARK = b"xxh3"
_ZEROS = b"0" * 16
# Errors of pyarrow for truncated or invalid messages.
_TORN = (pa.ArrowException, OSError, EOFError, ValueError)


class Journal:
    """A journal open for appending. `recovered` is a memory-mapped table of the rows that were intact at opening."""

    def __init__(self, path: Path, schema: pa.Schema, compression: str | None = None) -> None:
        """Open, or create at the first `write`. Raises `SynthError` for a journal written by another version."""
        self.schema = schema
        self._options = pa.ipc.IpcWriteOptions(compression=compression)
        self._path = path
        self._header = schema.serialize().to_pybytes()
        batches, self._end = _recover(path, self._header)
        self.recovered = pa.Table.from_batches(batches, schema)
        self._file: FileIO | None = None

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows (values in schema order) as one batch: a crash leaves all of them or none.

        Written rows survive the death of the process. Raises `pa.ArrowException`, and writes nothing, when a value does
        not fit its column.
        """
        self.append(batch_of_columns(zip(*rows, strict=True), self.schema))

    def append(self, batch: pa.RecordBatch) -> None:
        """As `write`, for a batch of the journal's schema."""
        message = _message(batch, len(self._header), self._options)
        if self._file is None:
            self._file = FileIO(self._path, "r+" if self._end else "w")
            self._file.truncate(self._end)
            self._file.seek(self._end)
        try:
            if not self._end:
                self._write(self._header)
            self._write(message)
        except OSError:
            # A partial message, as left by a full disk, would hide everything appended after it.
            self._file.truncate(self._end)
            self._file.seek(self._end)
            raise
        self._end = self._file.tell()

    def _write(self, message: bytes | bytearray) -> None:
        # A raw write may be partial.
        rest = memoryview(message)
        while rest:
            rest = rest[cast(FileIO, self._file).write(rest) :]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def batch_of_columns(columns: Iterable[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Columns in schema order as one batch. Raises `pa.ArrowException` if a value does not fit."""
    try:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    except (OverflowError, UnicodeError) as error:
        # pyarrow does not wrap these errors.
        raise pa.ArrowInvalid(str(error)) from error
    return pa.record_batch(arrays, schema=schema)


def read_journal(path: Path, schema: pa.Schema) -> pa.Table:
    """The intact rows of a journal that no process is writing to."""
    batches, _ = _recover(path, schema.serialize().to_pybytes())
    return pa.Table.from_batches(batches, schema)


def copied_journal(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of a journal so far, in memory; a process may be writing to it. Raises `FileNotFoundError`."""
    # A mapped file that its writer truncates would kill this process.
    found = _intact(path, pa.BufferReader(path.read_bytes()), schema.serialize().to_pybytes())
    return pa.Table.from_batches([batch for _, batch, _ in found], schema)


def journal_batches(path: Path, schema: pa.Schema) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The intact batches of a journal that no process is writing to, one at a time, each with its offset."""
    for start, batch, _ in _intact(path, _opened(path), schema.serialize().to_pybytes()):
        yield start, batch


def read_batch(path: Path, schema: pa.Schema, start: int) -> pa.RecordBatch:
    """The batch of a journal at this offset, which `journal_batches` has found intact."""
    source = _opened(path)
    source.seek(start)
    return pa.ipc.read_record_batch(pa.ipc.read_message(source), schema)


def join_journals(paths: Sequence[Path], target: Path, schema: pa.Schema) -> None:
    """Write complete journals of one schema as a single one, batch for batch."""
    header = schema.serialize().to_pybytes()
    with atomic(target, durable=True) as temporary, temporary.open("wb") as joined:
        joined.write(header)
        for path in paths:
            with path.open("rb") as file:
                _require_header(path, file.read(len(header)), header)
                shutil.copyfileobj(file, joined)


def _require_header(path: Path, found: bytes, header: bytes) -> None:
    if found != header:
        raise SynthError(f"{path} was written by another version of synth: use --fresh to start over")


def _opened(path: Path) -> pa.NativeFile:
    # An empty file cannot be mapped.
    return pa.memory_map(str(path)) if path.exists() and path.stat().st_size else pa.BufferReader(b"")


def _recover(path: Path, header: bytes) -> tuple[list[pa.RecordBatch], int]:
    """The intact batches of a journal, and the end offset of the last one; 0 if even the schema is torn."""
    source = _opened(path)
    end = len(header) if source.size() >= len(header) else 0
    batches: list[pa.RecordBatch] = []
    for _, batch, after in _intact(path, source, header):
        batches.append(batch)
        end = after
    return batches, end


def _intact(path: Path, source: pa.NativeFile, header: bytes) -> Iterator[tuple[int, pa.RecordBatch, int]]:
    """Each intact batch of a journal, between the offsets at which it starts and ends."""
    if source.size() < len(header):
        return
    _require_header(path, source.read_at(len(header), 0), header)
    end = len(header)
    while end < source.size():
        try:
            source.seek(end)
            body = pa.ipc.read_message(source)
            message = bytearray(source.read_at(source.tell() - end, end))
            at = _place_of_checksum(message)
            found, message[at : at + len(_ZEROS)] = bytes(message[at : at + len(_ZEROS)]), _ZEROS
            if found != _checksum(message):
                break
            batch = pa.ipc.read_record_batch(body, pa.ipc.read_schema(pa.py_buffer(header)))
        except _TORN:
            break
        yield end, batch, end + len(message)
        end += len(message)


def _message(batch: pa.RecordBatch, header: int, options: pa.ipc.IpcWriteOptions) -> bytearray:
    """The encapsulated message of a batch with its own checksum, computed with zeros in its place."""
    sink = pa.BufferOutputStream()
    stream = pa.ipc.new_stream(sink, batch.schema, options=options)
    stream.write_batch(batch, custom_metadata={_MARK: _MARK + b":" + _ZEROS})
    message = bytearray(memoryview(sink.getvalue())[header:])
    at = _place_of_checksum(message)
    message[at : at + len(_ZEROS)] = _checksum(message)
    return message


def _place_of_checksum(message: bytearray) -> int:
    # Metadata precede the data, so the first match is ours.
    return message.index(_MARK + b":") + len(_MARK) + 1


def _checksum(message: bytearray) -> bytes:
    return xxhash.xxh3_64_hexdigest(message).encode()
