"""Lexical search: BM25 over the passages of documents.

The score of a passage for a query is the sum over the query's terms of `idf * tf / (tf + k1 (1 - b + b len / avg))`,
where `idf = ln(1 + (N - n + 0.5) / (n + 0.5))`, k1 = 1.2, b = 0.75, `N` is the number of passages and `n` of those with
the term; `len` and `avg` are in terms. This is Lucene's formula, but Lucene rounds `len` to what a byte holds. A term
that occurs twice in the query counts twice. A document scores as its best passage.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.retrieval.analysis import Analysis
from synth.pipelines.retrieval.scoring import compiled
from synth.pipelines.retrieval.searcher import Hits
from synth.pipelines.retrieval.segments import Places, Segment, SegmentWriter, hashes
from synth.schemas.atomic import remove_unfinished, write_json
from synth.schemas.errors import InputError

__all__ = ["FILES", "Bm25", "Bm25Writer", "check_complete"]

# Queries that are searched together, and those that a thread takes at once.
BATCH, PART = 1024, 32

# Lists the files of a complete index with their sizes; written by `close`.
FILES = "files.json"
_SEGMENT = ".arrow"


class Bm25Writer:
    """Appends documents to the index in `folder`, which is created if needed.

    After a crash, exactly the committed documents, those before `committed`, are left.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILES).unlink(missing_ok=True)
        remove_unfinished(folder)
        self._folder = folder
        written = _segments(folder)
        self._count = len(written)
        self._passages = sum(len(segment.documents) for segment in written)
        self.committed = int(written[-1].documents[-1]) + 1 if written else 0
        self._next = SegmentWriter()

    def add(self, document: int, passage: Sequence[str]) -> None:
        """Add a passage, as terms, of the document at this position; documents must come in ascending order."""
        self._next.add(document, passage)

    def commit(self) -> None:
        """Make additions durable. Call only between documents."""
        if len(self._next):
            self._next.segment().write(self._folder / f"{self._count:06d}{_SEGMENT}")
            self._count += 1
            self._passages += len(self._next)
            self._next = SegmentWriter()

    def close(self) -> int:
        """Commit and record the files; returns the number of passages."""
        self.commit()
        write_json(self._folder / FILES, _sizes(self._folder))
        return self._passages


class Bm25:
    """Searches the index in `folder` with all cores.

    A query is a bag of terms, without operators. Terms without a passage are ignored.
    """

    def __init__(self, folder: Path, analysis: Analysis) -> None:
        """Raises `InputError` if `folder` has no complete index or its files cannot be read."""
        check_complete(folder)
        self._segments = _segments(folder)
        self._analysis = analysis
        self._passages = sum(len(segment.documents) for segment in self._segments)
        average = sum(int(segment.words[0]) for segment in self._segments) / max(self._passages, 1)
        self._weights = [segment.weights(average) for segment in self._segments]
        self.documents = int(self._segments[-1].documents[-1]) + 1 if self._segments else 0

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(queries), BATCH):
                yield from self._search(queries[start : start + BATCH], k, pool)

    def informative(self, query: str) -> list[str]:
        """The terms of a query that some passage has, rarest first, without those in more than a fifth of all passages.

        If all are in so many, all of them. Ties are broken alphabetically.
        """
        terms = list(set(self._analysis.terms(query)))
        holding = _holding(self._places(hashes(terms)))
        found = sorted((n, term) for n, term in zip(holding.tolist(), terms, strict=True) if n)
        return [term for n, term in found if 5 * n <= self._passages] or [term for _, term in found]

    def _search(self, queries: Sequence[str], k: int, pool: ThreadPoolExecutor) -> Iterator[Hits]:
        bags = [Counter(self._analysis.terms(query)) for query in queries]
        numbers = {term: number for number, term in enumerate(dict.fromkeys(chain.from_iterable(bags)))}
        hashed = hashes(numbers)
        places = self._places(hashed)
        holding = _holding(places)
        idfs = np.log1p((self._passages - holding + 0.5) / (holding + 0.5))
        query = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
        terms = np.fromiter(map(numbers.__getitem__, chain.from_iterable(bags)), np.int64, len(query))
        counts = np.fromiter(chain.from_iterable(bag.values() for bag in bags), np.int64, len(query))
        # Always in the same order, on which the last bit of a sum depends.
        order = np.lexsort((hashed[terms], query))
        terms, counts = terms[order], counts[order]
        ends = np.searchsorted(query, np.arange(len(bags) + 1))
        factors = (counts * idfs[terms]).astype(np.float32)
        add_best = compiled()

        def search(start: int) -> list[Hits]:
            part = ends[start : start + PART + 1]
            documents = np.zeros((len(part) - 1, k), np.int64)
            scores = np.zeros((len(part) - 1, k), np.float32)
            # All queries of a segment, then the next, so that what is in the caches serves all.
            for segment, weights, place in zip(self._segments, self._weights, places, strict=True):
                postings = segment.documents, segment.passages, segment.kinds, weights
                add_best(*postings, *place, part, terms, factors, documents, scores)
            return [
                Hits(ords[best], gained[best])
                for ords, gained in zip(documents, scores, strict=True)
                for best in [np.lexsort((ords, -gained))[: np.count_nonzero(gained)]]
            ]

        yield from chain.from_iterable(pool.map(search, range(0, len(bags), PART)))

    def _places(self, terms: NDArray[np.uint64]) -> list[Places]:
        return [segment.find(terms) for segment in self._segments]


def _holding(places: Sequence[Places]) -> NDArray[np.int64]:
    """In how many passages each term occurs."""
    return sum(((last - first).astype(np.int64) for first, last in places), np.zeros(1, np.int64))


def _segments(folder: Path) -> list[Segment]:
    try:
        return [Segment.open(file) for file in sorted(folder.glob(f"*{_SEGMENT}"))]
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise InputError(f"{folder} is not a readable BM25 index: {error}") from error


def check_complete(folder: Path) -> None:
    """Raises `InputError` if `folder` has no complete index or if a file differs in size from the record."""
    try:
        recorded: dict[str, int] = json.loads((folder / FILES).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is not a complete BM25 index: {FILES} cannot be read ({error})") from error
    sizes = _sizes(folder)
    for name, size in recorded.items():
        if sizes.get(name) != size:
            found = f"has {sizes[name]:,} bytes of {size:,}" if name in sizes else "is missing"
            raise InputError(f"{folder} is damaged: {name} {found}; index the corpus again")


def _sizes(folder: Path) -> dict[str, int]:
    """In bytes, without hidden files, which are unfinished."""
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if not file.name.startswith(".")}
