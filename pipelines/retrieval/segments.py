"""Postings on disk: segments of some hundred thousand passages, each a file that is written once and memory-mapped.

A segment lists, for each term, the passages with it in ascending order, and for each of these postings its kind: how
often the term occurs in the passage, and how long the passage is. Since few kinds differ, a posting takes six bytes,
and nothing in a segment depends on other segments. Terms are known by a hash of 64 bits.

On disk it is an Arrow file with a single row, whose columns are the fields of `Segment`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from synth.schemas.atomic import atomic

__all__ = ["VERSION", "Places", "Segment", "SegmentWriter", "hashes"]

# Incremented when segments are laid out differently.
VERSION = 1
K1, B = 1.2, 0.75

# For each term the first of its postings in a segment, and the last (exclusive).
Places = tuple[NDArray[np.uint64], NDArray[np.uint64]]


@dataclass(frozen=True, eq=False)
class Segment:
    """Postings of consecutive documents.

    Term number `i`, by ascending hash, has the postings from `ends[i - 1]` to `ends[i]`: elements of `passages` and
    `kinds`. A passage is a position in `documents`, which has the position of its document. A kind is a position in the
    matrix of `frequencies` (of a term in a passage; rows) by `lengths` (of passages, in terms). `words` has one number:
    the sum of all passages' lengths.
    """

    terms: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    passages: NDArray[np.uint32]
    kinds: NDArray[Any]
    documents: NDArray[np.uint32]
    frequencies: NDArray[np.uint32]
    lengths: NDArray[np.uint32]
    words: NDArray[np.int64]

    @classmethod
    def open(cls, path: Path) -> "Segment":
        """Raises `OSError`, `KeyError` or `pyarrow.ArrowInvalid` if the file cannot be read."""
        row = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        return cls(*(row.column(field.name).values.to_numpy() for field in fields(cls)))

    def write(self, path: Path) -> None:
        lists = {}
        for field in fields(self):
            values = pa.array(getattr(self, field.name))
            lists[field.name] = pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
        row = pa.record_batch(lists)
        with (
            atomic(path, durable=True) as temporary,
            pa.OSFile(str(temporary), "wb") as file,
            pa.ipc.new_file(file, row.schema) as writer,
        ):
            writer.write_batch(row)

    def weights(self, average: float) -> NDArray[np.float32]:
        """By kind, what BM25 gives for a term whose idf is 1, where passages have this length on average."""
        frequencies = self.frequencies[:, np.newaxis].astype(np.float64)
        return (frequencies / (frequencies + K1 * (1 - B + B * self.lengths / average))).astype(np.float32).ravel()

    def find(self, terms: NDArray[np.uint64]) -> Places:
        """The places of terms, given by their hashes; zeros where there is no posting."""
        at = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
        here = self.terms[at] == terms
        return np.where(here & (at > 0), self.ends[at - 1], 0), np.where(here, self.ends[at], 0)


class SegmentWriter:
    """Collects passages for a segment; about 20 bytes of memory for each of their words."""

    def __init__(self) -> None:
        # Numbers terms in order of appearance.
        self._numbers: dict[str, int] = defaultdict(count().__next__)
        self._terms: list[NDArray[np.uint32]] = []
        self._documents: list[int] = []

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, document: int, passage: Sequence[str]) -> None:
        self._terms.append(np.fromiter(map(self._numbers.__getitem__, passage), np.uint32, len(passage)))
        self._documents.append(document)

    def segment(self) -> Segment:
        length_of = np.fromiter(map(len, self._terms), np.int64, len(self._terms))
        terms = hashes(self._numbers)
        by_hash = np.argsort(terms)
        rank = np.empty(len(terms), np.uint64)
        rank[by_hash] = np.arange(len(terms))
        # Term and passage of each word in one number, so that sorting brings postings into order.
        words = rank[np.concatenate(self._terms)] << np.uint64(32)
        words |= np.repeat(np.arange(len(length_of), dtype=np.uint64), length_of)
        words.sort()
        starts = np.flatnonzero(np.diff(words, prepend=~words[:1]))
        frequency_of = np.diff(starts, append=len(words))
        found = words[starts]
        passages = found.astype(np.uint32)
        frequencies = np.flatnonzero(np.bincount(frequency_of))
        lengths, rank_of_length = np.unique(length_of, return_inverse=True)
        kinds = np.searchsorted(frequencies, frequency_of) * len(lengths) + rank_of_length[passages]
        holding = np.bincount((found >> np.uint64(32)).astype(np.int64), minlength=len(terms))
        return Segment(
            terms=terms[by_hash],
            ends=np.cumsum(holding, dtype=np.uint64),
            passages=passages,
            kinds=kinds.astype(np.uint16 if len(frequencies) * len(lengths) <= 1 << 16 else np.uint32),
            documents=np.array(self._documents, np.uint32),
            frequencies=frequencies.astype(np.uint32),
            lengths=lengths.astype(np.uint32),
            words=np.array([len(words)]),
        )


def hashes(terms: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest(term.encode()) for term in terms], np.uint64)
