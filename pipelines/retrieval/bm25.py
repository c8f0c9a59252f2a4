"""Lexical search with tantivy: BM25 exactly as Lucene calculates it, over the passages of documents.

The score of a passage for a query is the sum over the query's terms of `idf * tf / (tf + k1 (1 - b + b len / avg))`,
where `idf = ln(1 + (N - n + 0.5) / (n + 0.5))`, k1 = 1.2, b = 0.75, `N` counts passages, `n` those with the term,
`len` and `avg` are in terms, `len` rounded down to what fits in Lucene's byte (exact to 40, then in steps of a
thirty-second to an eighth), and a term that stands twice in the query counts twice. The score of a document is that of
its best passage.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

__all__ = ["FILES", "Bm25", "Bm25Writer", "refuse_damaged"]

K1, B = 1.2, 0.75
# Lucene has left out since version 8, and tantivy has not.
_CONSTANT_FACTOR = K1 + 1
# The writer's buffers; beyond them it has what it merges, and the passages on their way to it.
HEAP_BYTES = 256 << 20
MOST_WRITERS = 4
# Passages that one search may bring into memory.
MOST_HITS = 1 << 18

# The files of a whole index and their sizes; it is there from `close` on.
FILES = "files.json"

_ANALYZER = "terms"


class Bm25Writer:
    """Appends documents to the index in `folder`, which is made if it is not there.

    Only what has been committed is there after a crash: the documents before `committed`, all of their passages. Raises
    `SynthError` where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILES).unlink(missing_ok=True)
        self._folder = folder
        self._index = _opened(folder)
        self.committed = _last_ord(self._index.searcher()) + 1
        self._writer = self._index.writer(HEAP_BYTES, min(os.cpu_count() or 1, MOST_WRITERS))

    def add(self, document: int, passage: Sequence[str]) -> None:
        """Add a passage, given as its terms, of the document at this position; documents come in ascending order."""
        import tantivy

        row = tantivy.Document()
        row.add_unsigned("ord", document)
        row.add_text("text", " ".join(passage))
        try:
            self._writer.add_document(row)
        except ValueError as error:
            raise self._failed(error) from error

    def commit(self) -> None:
        """Make what was added durable. To be called between documents only."""
        try:
            self._writer.commit()
        except ValueError as error:
            raise self._failed(error) from error

    def close(self) -> int:
        """Commit, wait until all is in its place, and record it; the number of passages."""
        self.commit()
        try:
            self._writer.wait_merging_threads()
            # Merging and crashes leave files behind that only a new writer removes.
            self._index.writer(HEAP_BYTES, 1).garbage_collect_files()
        except ValueError as error:
            raise self._failed(error) from error
        write_json(self._folder / FILES, _sizes(self._folder))
        self._index.reload()
        return int(self._index.searcher().num_docs)

    def _failed(self, error: ValueError) -> SynthError:
        # All that tantivy says of a full disk, when one of its threads finds it, is that the thread has ended.
        return SynthError(
            f"{self._folder} cannot be written, as on a full disk ({str(error).splitlines()[0]}): "
            "what was committed is kept; repeat the command to continue"
        )


class Bm25:
    """Searches the index in `folder`, with several threads.

    A query is a bag of terms, whatever signs stand in it. Of a query of more than `max_terms` different terms those
    count that the fewest passages hold, of equally rare ones the first in the alphabet. Terms that no passage holds do
    not count at all.
    """

    def __init__(self, folder: Path, analysis: Analysis, max_terms: int) -> None:
        """Raises `InputError` where `folder` holds no whole index, or one that this version of tantivy cannot read."""
        refuse_damaged(folder)
        self._index = _opened(folder)
        self._searcher = self._index.searcher()
        self._analysis = analysis
        self._max_terms = max_terms
        self.documents = _last_ord(self._searcher) + 1

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(lambda query: self._search(query, k), queries)

    def terms(self, query: str) -> Counter[str]:
        """The terms of a query that count, the rarest first, and how often it has them."""
        counts = Counter(self._analysis.terms(query))
        held = {term: self._searcher.doc_freq("text", term) for term in counts}
        rarest = sorted((passages, term) for term, passages in held.items() if passages)[: self._max_terms]
        return Counter({term: counts[term] for _, term in rarest})

    def is_common(self, term: str) -> bool:
        """Whether more than a fifth of the passages hold the term, so that it tells little of them."""
        return bool(5 * self._searcher.doc_freq("text", term) > self._searcher.num_docs)

    def _search(self, query: str, k: int) -> Hits:
        terms = self.terms(query)
        if not terms:
            return Hits(np.empty(0, np.int64), np.empty(0, np.float32))
        ords, scores = self._best(self._bag(terms), k)
        return Hits(ords, (scores / _CONSTANT_FACTOR).astype(np.float32))

    def _bag(self, terms: Counter[str]) -> "tantivy.Query":
        from tantivy import Occur, Query

        # Always in one order, so that the sum of the scores is always rounded in the same way.
        return Query.boolean_query([(Occur.Should, self._term(term, count)) for term, count in sorted(terms.items())])

    def _term(self, term: str, count: int) -> "tantivy.Query":
        from tantivy import Query

        query = Query.term_query(self._index.schema, "text", term, "freq")
        return query if count == 1 else Query.boost_query(query, float(count))

    def _best(self, query: "tantivy.Query", k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The `k` best documents with tantivy's scores.

        Passages of equal score come in an order that is another in each build of the index. Therefore so many are
        asked for that the last that are needed are followed by worse ones.
        """
        limit = min(k + k // 2 + 1, MOST_HITS)
        while True:
            ords, scores = self._passages(query, limit)
            if len(ords) < limit:
                return best_documents(ords, scores, k)
            best = best_documents(ords[scores > scores[-1]], scores[scores > scores[-1]], k)
            if len(best[0]) == k:
                return best
            if limit == MOST_HITS:
                break
            limit = min(4 * limit, MOST_HITS)
        tied = self._tied(query, scores[-1], k - len(best[0]), set(best[0].tolist()))
        return np.append(best[0], tied), np.append(best[1], np.full(len(tied), scores[-1]))

    def _tied(self, query: "tantivy.Query", score: float, wanted: int, better: set[int]) -> list[int]:
        """The first `wanted` documents with a passage of this score, where there are too many to ask for them at once.

        `better` have a better passage and are left out. The documents are gone through in stretches.
        """
        found: list[int] = []
        start, width = 0, MOST_HITS
        while start < self.documents and len(found) < wanted:
            ords, scores = self._passages(self._within(query, start, start + width - 1), MOST_HITS)
            # The same sum may be rounded otherwise in a stretch.
            alike = np.isclose(scores, score, rtol=1e-6, atol=0)
            if len(ords) == MOST_HITS and scores[-1] >= score * (1 - 1e-6) and width > 1:
                width = max(width // 8, 1)
                continue
            found += sorted(set(ords[alike].tolist()) - better)
            start += width
        return found[:wanted]

    def _within(self, query: "tantivy.Query", first: int, last: int) -> "tantivy.Query":
        from tantivy import FieldType, Occur, Query

        stretch = Query.range_query(self._index.schema, "ord", FieldType.Unsigned, first, last)
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(stretch, 0.0))])

    def _passages(self, query: "tantivy.Query", limit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Position of the document and score of up to `limit` passages, the best first."""
        hits: list[Any] = self._searcher.search(query, limit, count=False).hits
        ords = self._searcher.fast_field_values("ord", [address for _, address in hits])
        return np.array(ords, np.int64), np.array([score for score, _ in hits], np.float64)


def refuse_damaged(folder: Path) -> None:
    """Raises `InputError` where `folder` holds no index, or one whose files are not those that were recorded."""
    try:
        recorded: dict[str, int] = json.loads((folder / FILES).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no whole BM25 index: {FILES} cannot be read ({error})") from error
    there = _sizes(folder)
    for name, size in recorded.items():
        if there.get(name) != size:
            found = f"has {there[name]:,} bytes of {size:,}" if name in there else "is missing"
            raise InputError(f"{folder} is damaged: {name} {found}; index the corpus again")


def _sizes(folder: Path) -> dict[str, int]:
    """In bytes; of locks and lists of files that only writers need, nothing."""
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if not file.name.startswith(".")}


def _opened(folder: Path) -> "tantivy.Index":
    import tantivy

    schema = tantivy.SchemaBuilder()
    schema.add_unsigned_field("ord", indexed=True, fast=True)
    # Without positions: phrases are never searched for.
    schema.add_text_field("text", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    try:
        index = tantivy.Index(schema.build(), str(folder), sort_by_field="ord")
    except (ValueError, OSError) as error:
        raise InputError(f"{folder} is no BM25 index that can be read: {error}") from error
    # The index only knows the name of it.
    index.register_tokenizer(_ANALYZER, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def _last_ord(searcher: "tantivy.Searcher") -> int:
    """The largest position of a document, -1 where there is none."""
    import tantivy

    hits = searcher.search(tantivy.Query.all_query(), 1, order_by_field="ord", order=tantivy.Order.Desc).hits
    return int(hits[0][0]) if hits else -1
