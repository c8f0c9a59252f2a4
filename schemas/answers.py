"""The answers that a run's tools gave its rows, kept so that the same answer is never asked for twice.

An answer belongs to the row that asked, to the whole request, and to what gave it: an engine or a sandbox, by its
identity.
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
    """What the tools answered the rows of one chunk, as JSON. `by` is the key of the tool that answers."""

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
            # On failure the answers stay queued, for a disk with room.
            self._journal.write(self._waiting)
            self._waiting = []

    def close(self) -> None:
        self._journal.close()


def key_of(identity: Mapping[str, Any]) -> int:
    """A key for the engine or the sandbox of this identity: 64 bits of a digest of it."""
    return xxhash.xxh3_64_intdigest(msgspec.json.encode(identity, order="sorted"))


def request_hash(request: bytes, by: int) -> bytes:
    """The digest under which the answer of `by` to a request is kept."""
    return xxhash.xxh3_128_digest(request, by)
