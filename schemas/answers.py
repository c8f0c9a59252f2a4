"""Journaled answers of a run's tools, so that no request is repeated when a run is resumed.

The key of an answer is the row, the whole request, and the identity of the engine or sandbox that answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from synth.schemas.atomic import atomic
from synth.schemas.journal import Journal, batch_of_columns, journal_batches, read_batch, read_journal

__all__ = [
    "ANSWERS",
    "TRIES_APART",
    "AnswerJournal",
    "PriorAnswers",
    "answers_of_chunks",
    "compress_answers",
    "key_of",
    "request_hash",
    "write_answers",
]

# Samples between the tries of a reply whose retries are apart from the first samples of all replies.
TRIES_APART = 1 << 32
# The digest under which the answer to a request is stored, of the request's bytes and the key of what answers it.
request_hash = xxhash.xxh3_128_digest
ANSWERS = pa.schema(
    [("row", pa.string()), ("request_hash", pa.binary(16)), ("request", pa.string()), ("answer", pa.string())]
)


class Recorded(NamedTuple):
    """A recorded request and its answer; `is_reused` if an earlier run of the output asked for it."""

    request: str
    answer: str
    is_reused: bool


class AnswerJournal:
    """The tool answers for the rows of one chunk, as JSON. `by` is the key of the tool that answers."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, ANSWERS)
        self._waiting: list[tuple[str, bytes, int, bytes]] = []
        # By row and digest.
        self._known: dict[str, dict[bytes, Recorded]] = {}
        self._add(self._journal.recovered, are_reused=False)

    def _add(self, answers: pa.Table, *, are_reused: bool) -> list[tuple[str, bytes, str, str]]:
        """Add recorded answers, and return those that were not known."""
        new = []
        for batch in answers.to_batches():
            for row, digest, request, answer in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                known = self._known.setdefault(row, {})
                if digest not in known:
                    new.append((row, digest, request, answer))
                known[digest] = Recorded(request, answer, are_reused)
        return new

    def carry_over(self, answers: pa.Table, *, are_reused: bool) -> None:
        """Journal answers that were recorded elsewhere, except those that are here already.

        They `are_reused` if an earlier run of the output asked for them.
        """
        if new := self._add(answers, are_reused=are_reused):
            self._journal.write(new)

    def knows(self, row_id: str) -> bool:
        """Whether any answer of this row was recorded before."""
        return row_id in self._known

    def find(self, row_id: str, request: bytes, by: int) -> Recorded | None:
        known = self._known.get(row_id)
        return known.get(request_hash(request, by)) if known else None

    def recorded(self, row_id: str, by: int) -> Iterator[Recorded]:
        """The recorded requests of a row to this tool, with their answers."""
        for digest, one in self._known.get(row_id, {}).items():
            if digest == request_hash(one.request.encode(), by):
                yield one

    def record(self, row_id: str, request: bytes, by: int, answer: bytes) -> None:
        self._waiting.append((row_id, request, by, answer))

    def flush(self) -> None:
        if self._waiting:
            rows, requests, by, answers = zip(*self._waiting, strict=True)
            batch = batch_of_columns((rows, tuple(map(request_hash, requests, by)), requests, answers), ANSWERS)
            # If this fails, the answers stay queued until the disk has room.
            self._journal.append(batch)
            self._waiting = []

    def close(self) -> None:
        self._journal.close()


class PriorAnswers:
    """The answers in journals of earlier runs, by the ids of their rows. Memory: 12 bytes per answer."""

    def __init__(self, journals: Sequence[Path]) -> None:
        self._journals = journals
        # Where each batch is. A journal with the answers of many chunks is never read as a whole.
        self._places: list[tuple[Path, int]] = []
        self._read = lru_cache(2)(self._batch)

    def of_rows(self, ids: pa.ChunkedArray) -> Iterator[pa.Table]:
        """The answers for the rows with these ids."""
        import pyarrow.compute as pc

        from synth.schemas.fingerprints import fingerprints

        hashes, numbers = self._index
        ids = ids.combine_chunks()
        wanted = fingerprints(ids)
        places = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
        found = {number for start, end in zip(*places, strict=True) for number in numbers[start:end].tolist()}
        for number in sorted(found):
            batch = self._read(number)
            yield pa.Table.from_batches([batch.filter(pc.is_in(batch["row"], value_set=ids))])

    def _batch(self, number: int) -> pa.RecordBatch:
        journal, start = self._places[number]
        return read_batch(journal, ANSWERS, start)

    @cached_property
    def _index(self) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        """The hashes of the row ids of all answers, sorted, and the number of each one's batch."""
        from synth.schemas.fingerprints import fingerprints

        hashes, numbers = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)]
        for journal in self._journals:
            for start, batch in journal_batches(journal, ANSWERS):
                hashes.append(fingerprints(batch["row"]))
                numbers.append(np.full(batch.num_rows, len(self._places), np.uint32))
                self._places.append((journal, start))
        unsorted = np.concatenate(hashes)
        order = np.argsort(unsorted)
        return unsorted[order], np.concatenate(numbers)[order]


def compress_answers(journal: Path, target: Path) -> int:
    """Write the answers of a finished journal, if there are any, as a compressed one. Returns how many there are."""
    answers = read_journal(journal, ANSWERS).combine_chunks()
    write_answers(answers.to_batches(), target)
    return int(answers.num_rows)


def write_answers(batches: Sequence[pa.RecordBatch], target: Path) -> None:
    """Write answers, if there are any, as a compressed journal."""
    if not any(batch.num_rows for batch in batches):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target, durable=True) as temporary:
        copy = Journal(temporary, ANSWERS, compression="zstd")
        for batch in batches:
            copy.append(batch)
        copy.close()


def answers_of_chunks(journals: Sequence[Path], counts: Sequence[int]) -> Iterator[list[pa.RecordBatch]]:
    """The answers of each chunk, from journals in which they were joined; `counts` are the numbers of answers."""
    batches = (batch for journal in journals for _, batch in journal_batches(journal, ANSWERS))
    for count in counts:
        own: list[pa.RecordBatch] = []
        while count > sum(batch.num_rows for batch in own):
            own.append(next(batches))
        yield own


def key_of(identity: Mapping[str, Any]) -> int:
    """The key of the engine or sandbox with this identity: a 64-bit digest."""
    return xxhash.xxh3_64_intdigest(msgspec.json.encode(identity, order="sorted"))
