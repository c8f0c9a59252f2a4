"""Append-only journals: Arrow IPC streams that survive being cut off anywhere.

A journal is one schema message and then record batches, each with a checksum of its message in its metadata. What
follows the last whole batch (a torn tail, or bytes that a power cut left wrong) is cut away when the journal is opened.
"""

import zlib
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.errors import SynthError

__all__ = ["Journal", "read_journal"]

_CHECKSUM = b"crc32"
# What pyarrow raises for messages that are cut short, or that are no messages at all.
_TORN = (pa.ArrowException, OSError, EOFError, ValueError)


class Journal:
    """A journal open for appending. Its intact rows at opening are in `recovered`, a memory-mapped table."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open, or create at the first `write`. Raises `SynthError` for a journal that another version wrote."""
        self.schema = schema
        self._path = path
        self._header = schema.serialize().to_pybytes()
        batches, self._end = _recover(path, self._header)
        self.recovered = pa.Table.from_batches(batches, schema)
        self._file: FileIO | None = None

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows (values in schema order) as one batch: all of them are there after a crash, or none.

        What is written survives the death of the process. Raises `pa.ArrowException` when a value does not fit its
        column; nothing is written then.
        """
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        self._append(_message(pa.record_batch(arrays, schema=self.schema), self._header))

    def _append(self, message: bytes) -> None:
        if self._file is None:
            self._file = FileIO(self._path, "r+" if self._end else "w")
            self._file.truncate(self._end)
            self._file.seek(self._end)
            message = message if self._end else self._header + message
        # A raw write may take only part of what it is given.
        rest = memoryview(message)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_journal(path: Path, schema: pa.Schema) -> pa.Table:
    """The intact rows of a journal that nobody is writing."""
    batches, _ = _recover(path, schema.serialize().to_pybytes())
    return pa.Table.from_batches(batches, schema)


def _recover(path: Path, header: bytes) -> tuple[list[pa.RecordBatch], int]:
    """The whole batches of a journal and the offset at which the last of them ends; 0 where even the schema is torn."""
    if not path.exists() or path.stat().st_size < len(header):
        return [], 0
    source = pa.memory_map(str(path))
    if source.read_at(len(header), 0) != header:
        raise SynthError(f"{path} was written by another version of synth: use --fresh to start over")
    end = len(header)
    batches: list[pa.RecordBatch] = []
    while end < source.size():
        try:
            source.seek(end)
            body = pa.ipc.read_message(source)
            message = source.read_at(source.tell() - end, end)
            batch = pa.ipc.read_record_batch(body, _schema(header))
            batch.validate()
            # What was read writes the same message again, checksum and all, or is not what was written.
            whole = _message(batch, header) == message
        except _TORN:
            break
        if not whole:
            break
        batches.append(batch)
        end += len(message)
    return batches, end


def _schema(header: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(header))


def _message(batch: pa.RecordBatch, header: bytes) -> bytes:
    """The encapsulated message of a batch, which carries the checksum of itself, taken while that was all zeros."""
    return _encapsulate(batch, header, zlib.crc32(_encapsulate(batch, header, 0)))


def _encapsulate(batch: pa.RecordBatch, header: bytes, checksum: int) -> bytes:
    sink = pa.BufferOutputStream()
    stream = pa.ipc.new_stream(sink, batch.schema)
    stream.write_batch(batch, custom_metadata={_CHECKSUM: f"{checksum:08x}".encode()})
    message: bytes = sink.getvalue()[len(header) :].to_pybytes()
    return message
