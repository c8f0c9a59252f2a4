"""Lexical search with tantivy: BM25 over the passages of documents, computed exactly as in Lucene.

The score of a passage for a query is the sum over the query's terms of `idf * tf / (tf + k1 (1 - b + b len / avg))`,
where `idf = ln(1 + (N - n + 0.5) / (n + 0.5))`, k1 = 1.2, b = 0.75, `N` is the number of passages and `n` of those with
the term; `len` and `avg` are in terms, and `len` is rounded down to a value of Lucene's one-byte encoding (exact up to
40, then in steps of 1/32 to 1/8). A term that occurs twice in the query counts twice. A document scores as its best
passage.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.retrieval.analysis import Analysis
from synth.pipelines.retrieval.searcher import Hits, best_documents
from synth.schemas.atomic import write_json
from synth.schemas.errors import InputError, SynthError

if TYPE_CHECKING:
    import tantivy

__all__ = ["FILES", "Bm25", "Bm25Writer", "check_complete"]

K1, B = 1.2, 0.75
# Lucene dropped this factor in version 8; tantivy still applies it.
_CONSTANT_FACTOR = K1 + 1
# The writer's buffers; merges and queued passages take further memory.
HEAP_BYTES = 256 << 20
MAX_WRITERS = 4
# Maximum passages that one search loads.
MAX_HITS = 1 << 18

# Lists the files of a complete index with their sizes; written by `close`.
FILES = "files.json"

_ANALYZER = "terms"


class Bm25Writer:
    """Appends documents to the index in `folder`, which is created if needed.

    After a crash, exactly the committed documents, those before `committed`, are left. Raises `SynthError` if the
    folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILES).unlink(missing_ok=True)
        self._folder = folder
        self._index = _opened(folder)
        self.committed = _last_ord(self._index.searcher()) + 1
        self._writer = self._index.writer(HEAP_BYTES, min(os.cpu_count() or 1, MAX_WRITERS))

    def add(self, document: int, passage: Sequence[str]) -> None:
        """Add a passage, as terms, of the document at this position; documents must come in ascending order."""
        import tantivy

        row = tantivy.Document()
        row.add_unsigned("ord", document)
        row.add_text("text", " ".join(passage))
        with self._writing():
            self._writer.add_document(row)

    def commit(self) -> None:
        """Make additions durable. Call only between documents."""
        with self._writing():
            self._writer.commit()

    def close(self) -> int:
        """Commit, wait for merges, and record the files; returns the number of passages."""
        self.commit()
        with self._writing():
            self._writer.wait_merging_threads()
            # Only a new writer removes the files that merges and crashes left behind.
            self._index.writer(HEAP_BYTES, 1).garbage_collect_files()
        write_json(self._folder / FILES, _sizes(self._folder))
        self._index.reload()
        return int(self._index.searcher().num_docs)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            # If one of its threads finds the disk full, tantivy only reports that the thread died.
            raise SynthError(
                f"{self._folder} cannot be written, perhaps because the disk is full ({str(error).splitlines()[0]}): "
                "committed documents are kept; repeat the command to continue"
            ) from error


class Bm25:
    """Searches the index in `folder` with several threads.

    A query is a bag of terms, without operators. Terms without a passage are ignored; of the others the `max_terms`
    that occur in the fewest passages count, ties being broken alphabetically.
    """

    def __init__(self, folder: Path, analysis: Analysis, max_terms: int) -> None:
        """Raises `InputError` if `folder` has no complete index or this version of tantivy cannot read it."""
        check_complete(folder)
        self._index = _opened(folder)
        self._searcher = self._index.searcher()
        self._analysis = analysis
        self._max_terms = max_terms
        self.documents = _last_ord(self._searcher) + 1

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(lambda query: self._search(query, k), queries)

    def terms(self, query: str) -> Counter[str]:
        """The terms of a query that count, rarest first, with their frequency in it."""
        counts = Counter(self._analysis.terms(query))
        frequencies = [(self._searcher.doc_freq("text", term), term) for term in counts]
        rarest = sorted(found for found in frequencies if found[0])[: self._max_terms]
        return Counter({term: counts[term] for _, term in rarest})

    def is_common(self, term: str) -> bool:
        """Whether the term is uninformative: in more than a fifth of the passages."""
        return bool(5 * self._searcher.doc_freq("text", term) > self._searcher.num_docs)

    def _search(self, query: str, k: int) -> Hits:
        terms = self.terms(query)
        if not terms:
            return Hits(np.empty(0, np.int64), np.empty(0, np.float32))
        from tantivy import Occur, Query

        # In a fixed order, so that sums of scores are rounded the same way.
        bag = Query.boolean_query([(Occur.Should, self._term(term, count)) for term, count in sorted(terms.items())])
        ords, scores = self._best(bag, k)
        return Hits(ords, (scores / _CONSTANT_FACTOR).astype(np.float32))

    def _term(self, term: str, count: int) -> "tantivy.Query":
        from tantivy import Query

        query = Query.term_query(self._index.schema, "text", term, "freq")
        return query if count == 1 else Query.boost_query(query, float(count))

    def _best(self, query: "tantivy.Query", k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The `k` best documents with tantivy's scores.

        The order of passages of equal score differs between builds of an index. So the limit is raised until all
        passages that tie with the last one needed are among the results.
        """
        limit = min(k + k // 2 + 1, MAX_HITS)
        while True:
            ords, scores = self._passages(query, limit)
            if len(ords) < limit:
                return best_documents(ords, scores, k)
            best = best_documents(ords[scores > scores[-1]], scores[scores > scores[-1]], k)
            if len(best[0]) == k:
                return best
            if limit == MAX_HITS:
                break
            limit = min(4 * limit, MAX_HITS)
        tied = self._tied(query, scores[-1], k - len(best[0]), set(best[0].tolist()))
        return np.append(best[0], tied), np.append(best[1], np.full(len(tied), scores[-1]))

    def _tied(self, query: "tantivy.Query", score: float, wanted: int, better: set[int]) -> list[int]:
        """The first `wanted` documents with a passage of this score, if there are too many for one search.

        Searches one range of documents after another and skips `better`, which have a better passage.
        """
        found: list[int] = []
        start, width = 0, MAX_HITS
        while start < self.documents and len(found) < wanted:
            ords, scores = self._passages(self._within(query, start, start + width - 1), MAX_HITS)
            # The same sum may be rounded differently in this search.
            tied = np.isclose(scores, score, rtol=1e-6, atol=0)
            if len(ords) == MAX_HITS and scores[-1] >= score * (1 - 1e-6) and width > 1:
                width = max(width // 8, 1)
                continue
            found += sorted(set(ords[tied].tolist()) - better)
            start += width
        return found[:wanted]

    def _within(self, query: "tantivy.Query", first: int, last: int) -> "tantivy.Query":
        from tantivy import FieldType, Occur, Query

        ords = Query.range_query(self._index.schema, "ord", FieldType.Unsigned, first, last)
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(ords, 0.0))])

    def _passages(self, query: "tantivy.Query", limit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The documents' positions and the scores of up to `limit` passages, best first."""
        hits: list[Any] = self._searcher.search(query, limit, count=False).hits
        ords = self._searcher.fast_field_values("ord", [address for _, address in hits])
        return np.array(ords, np.int64), np.array([score for score, _ in hits], np.float64)


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
    """In bytes, without the hidden files that only writers need: locks and lists of files."""
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if not file.name.startswith(".")}


def _opened(folder: Path) -> "tantivy.Index":
    import tantivy

    schema = tantivy.SchemaBuilder()
    schema.add_unsigned_field("ord", indexed=True, fast=True)
    # Without positions: there are no phrase queries.
    schema.add_text_field("text", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    try:
        index = tantivy.Index(schema.build(), str(folder), sort_by_field="ord")
    except (ValueError, OSError) as error:
        raise InputError(f"{folder} is not a readable BM25 index: {error}") from error
    # The index only stores its name.
    index.register_tokenizer(_ANALYZER, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def _last_ord(searcher: "tantivy.Searcher") -> int:
    """The largest position of a document; -1 if there is none."""
    import tantivy

    hits = searcher.search(tantivy.Query.all_query(), 1, order_by_field="ord", order=tantivy.Order.Desc).hits
    return int(hits[0][0]) if hits else -1
