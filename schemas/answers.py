"""Journaled answers of a run's tools, so that no request is repeated when a run is resumed.

The key of an answer is the row, the whole request, and the identity of the engine or sandbox that answered.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import xxhash

from synth.schemas.journal import Journal

__all__ = ["ANSWERS", "AnswerJournal", "key_of", "request_hash"]

ANSWERS = pa.schema(
    [("row", pa.string()), ("request_hash", pa.binary(16)), ("request", pa.string()), ("answer", pa.string())]
)


class AnswerJournal:
    """The tool answers for the rows of one chunk, as JSON. `by` is the key of the tool that answers."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, ANSWERS)
        self._waiting: list[tuple[str, bytes, bytes, bytes]] = []
        self._known: dict[tuple[str, bytes], str] = {}
        for batch in self._journal.recovered.select(["row", "request_hash", "answer"]).to_batches():
            rows, hashes, answers = (column.to_pylist() for column in batch.columns)
            self._known.update(zip(zip(rows, hashes, strict=True), answers, strict=True))

    def find(self, row_id: str, request: bytes, by: int) -> str | None:
        return self._known.get((row_id, request_hash(request, by))) if self._known else None

    def record(self, row_id: str, request: bytes, by: int, answer: bytes) -> None:
        self._waiting.append((row_id, request_hash(request, by), request, answer))

    def flush(self) -> None:
        if self._waiting:
            # If this fails, the answers stay queued until the disk has room.
            self._journal.write(self._waiting)
            self._waiting = []

    def close(self) -> None:
        self._journal.close()


def key_of(identity: Mapping[str, Any]) -> int:
    """The key of the engine or sandbox with this identity: a 64-bit digest."""
    return xxhash.xxh3_64_intdigest(msgspec.json.encode(identity, order="sorted"))


def request_hash(request: bytes, by: int) -> bytes:
    """The digest under which the answer of `by` to a request is stored."""
    return xxhash.xxh3_128_digest(request, by)
