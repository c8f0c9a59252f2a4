"""Retrieve the documents of a domain (Query of CC, arXiv 2401.14624, section 3.3)."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.pipelines.query_of_cc.ranking import hits_by_query
from synth.pipelines.retrieval.analysis import Analysis
from synth.pipelines.retrieval.bm25 import Bm25
from synth.pipelines.retrieval.dense import Dense
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.retrieval.fusion import Fusion
from synth.pipelines.retrieval.searcher import Hits, Searcher
from synth.pipelines.retrieval.trec import check_writable, write_run
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.atomic import atomic
from synth.schemas.errors import InputError, UsageError
from synth.schemas.record import Record
from synth.schemas.records import RETRIEVED, SEARCH

__all__ = ["Retrieve"]

By = Literal["bm25", "dense", "hybrid"]

# A killed run repeats up to this many queries.
QUERIES_AT_A_TIME = 1024
DOCUMENTS_AT_A_TIME = 256
HITS_AT_A_TIME = 1 << 20
TABLES_AT_A_TIME = 64
BYTES_AT_A_TIME = 8 << 20
# A document found by a query: the positions of both, and the score.
HIT = np.dtype([("document", "<u4"), ("query", "<u4"), ("score", "<f4")])

HitArray = NDArray[np.void]


@dataclass(frozen=True)
class Retrieve(TableStage):
    """Retrieve from an index the documents that queries find, each once.

    Writes each document among the `top_k` hits of any query, once, in index order, with the ids, scores and domains of
    all queries that found it.

    BM25 treats a query as a bag of terms.
    Dense search uses the index's model (`model` locates it if it has moved) and probes `nprobe` clusters of vectors.
    Queries without a word are rejected as `no_terms`, those that match no document as `no_hits`.
    """

    name: ClassVar[str] = "query-of-cc retrieve"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = SEARCH
    output: ClassVar[Record] = RETRIEVED
    commands: ClassVar[tuple[str, ...]] = (
        "synth query-of-cc retrieve queries/ index/ documents/ --top-k 50",
        "synth query-of-cc retrieve queries/ index/ documents/ --by hybrid --run run.trec",
    )

    index: Annotated[
        OpenedIndex,
        Option("Index directory from `query-of-cc index`.", metavar="INDEX", read=OpenedIndex.read, argument=True),
    ]
    top_k: Annotated[int, Option("Documents for each query.", min=1, max=1000)] = 100
    by: Annotated[By | None, Option("Search words, meaning, or both.", default="bm25 if the index has it")] = None
    nprobe: Annotated[int, Option("Clusters of vectors to search for each query.", min=1)] = 32
    model: Annotated[str | None, Option("Model of the index, if it has moved.", long="--dense", metavar="MODEL")] = None
    run_file: Annotated[Path | None, Option("Also write the hits as a TREC run.", long="--run", metavar="FILE")] = (
        field(default=None, compare=False)
    )

    def __post_init__(self) -> None:
        """Raises `UsageError` if the index does not support the search, `Stale` if the model is a different one."""
        super().__post_init__()
        if self.by is None:
            object.__setattr__(self, "by", "bm25" if self.index.settings["bm25"] else "dense")
        if self.run_file:
            check_writable(self.run_file)
        if self.by != "dense" and not self.index.settings["bm25"]:
            raise UsageError(f"--by {self.by}: {self.index.path} was made with --no-bm25; use --by dense")
        if self.by != "bm25" and not self.index.settings["dense"]:
            raise UsageError(f"--by {self.by}: {self.index.path} has no vectors; make them with index --dense MODEL")
        if self.by == "bm25" and self.model:
            raise UsageError(f"--dense {self.model} applies only to vectors: use --by dense or --by hybrid")
        if self.by != "bm25":
            _ = self._embedder

    def identity(self) -> dict[str, Any]:
        return {
            "index": self.index.fingerprint,
            "top_k": self.top_k,
            "by": self.by,
            "nprobe": None if self.by == "bm25" else self.nprobe,
        }

    def published(self, out: Path, counts: Counts) -> Iterable[str]:  # noqa: ARG002
        if self.run_file:
            write_run(self.run_file, hits_by_query(out))
        return ()

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        queries = pa.concat_tables(tables)
        analysis = Analysis(stem=self.index.settings["stem"])
        documents = self.index.documents
        # Dense search, too, picks the terms to highlight by their frequency.
        bm25 = Bm25(self.index.bm25, analysis) if self.index.settings["bm25"] else None
        dense = Dense(self.index.dense, self._embedder, self.nprobe) if self.by != "bm25" else None
        for part, folder in ((bm25, self.index.bm25), (dense, self.index.dense)):
            if part and part.documents != documents.num_rows:
                raise InputError(
                    f"{self.index.path} is damaged: {part.documents:,} of its {documents.num_rows:,} documents are in "
                    f"{folder}; index the corpus again"
                )
        searchers: list[Searcher] = [part for part in (bm25 if self.by != "dense" else None, dense) if part]
        searcher = searchers[0] if len(searchers) == 1 else Fusion(searchers)
        found = [
            _search(searcher, self.top_k, queries.slice(start, QUERIES_AT_A_TIME), start, analysis.has_terms, output)
            for start in range(0, queries.num_rows, QUERIES_AT_A_TIME)
        ]
        rows = _Rows(queries, analysis, bm25)
        for table in _coalesced(rows.of(*batch) for batch in _documents_found(documents, found)):
            output.write_table(table, accounts_for=0)
        output.tally("hits", sum(map(len, found)))

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder.recorded(self.index.settings["dense"], self.model)


def _search(
    searcher: Searcher, k: int, queries: pa.Table, first: int, has_terms: Callable[[str], bool], output: Output
) -> HitArray:
    """The hits of the queries, sorted by document; saved to a file and memory-mapped.

    `first` is the position of the first query.
    """
    path = output.work / f"hits-{first:09d}-{queries.num_rows}.npy"
    texts = queries["text"].to_pylist()
    with_terms = [index for index, text in enumerate(texts) if has_terms(text)]
    if not path.exists():
        searched = searcher.search([texts[index] for index in with_terms], k)
        _save(path, _by_document(zip(with_terms, searched, strict=True), first))
    hits: HitArray = np.load(path, mmap_mode="r")
    found = np.zeros(len(texts), bool)
    found[hits["query"] - first] = True
    output.write([], accounts_for=int(found.sum()))
    for index in np.flatnonzero(~found).tolist():
        reason = "no_hits" if index in with_terms else "no_terms"
        output.reject(queries.slice(index, 1).to_pylist()[0], reason)
    return hits


def _by_document(searched: Iterable[tuple[int, Hits]], first: int) -> HitArray:
    parts = [np.empty(0, HIT)]
    for query, hits in searched:
        part = np.empty(len(hits), HIT)
        part["document"], part["query"], part["score"] = hits.ords, first + query, hits.scores
        parts.append(part)
    found = np.concatenate(parts)
    return found[np.argsort(found["document"], kind="stable")]


def _save(path: Path, hits: HitArray) -> None:
    with atomic(path, durable=True) as temporary, temporary.open("wb") as file:
        np.save(file, hits)


def _documents_found(documents: pa.Table, found: Sequence[HitArray]) -> Iterator[tuple[pa.RecordBatch, HitArray]]:
    """The documents that were found, in batches, with their hits: sorted by document, then the best first."""
    for first, hits in _ranges(documents.num_rows, found):
        positions = np.ascontiguousarray(hits["document"])
        in_range = documents.slice(first, int(positions.max(initial=first)) - first + 1)
        for batch in in_range.to_batches(max_chunksize=DOCUMENTS_AT_A_TIME):
            here = slice(*np.searchsorted(positions, [first, first + batch.num_rows]))
            if here.start < here.stop:
                yield batch.take(pa.array(np.unique(positions[here]) - first)), hits[here]
            first += batch.num_rows


def _ranges(documents: int, found: Sequence[HitArray]) -> Iterator[tuple[int, HitArray]]:
    """Ranges of documents whose hits fit in memory: the first document of each, and its sorted hits."""
    starts = [0] * len(found)
    first, width = 0, documents
    while first < documents:
        stops = [
            bisect_left(hits, first + width, start, key=itemgetter("document"))
            for hits, start in zip(found, starts, strict=True)
        ]
        if sum(stops) - sum(starts) > HITS_AT_A_TIME and width > 1:
            width = (width + 1) // 2
            continue
        hits = np.concatenate([hits[start:stop] for hits, start, stop in zip(found, starts, stops, strict=True)])
        yield first, hits[np.lexsort((hits["query"], -hits["score"], hits["document"]))]
        starts = stops
        first += width


class _Rows:
    """Makes the output rows of documents from their hits."""

    def __init__(self, queries: pa.Table, analysis: Analysis, bm25: Bm25 | None) -> None:
        self._ids = queries["id"].combine_chunks()
        self._texts = queries["text"]
        self._analysis = analysis
        self._bm25 = bm25
        self._cached_terms = lru_cache(QUERIES_AT_A_TIME)(self._terms)
        self._domains = pc.unique(queries["domain"]).drop_null().sort()
        codes = pc.index_in(queries["domain"], self._domains)
        self._domain_of: NDArray[np.int64] = pc.fill_null(codes, -1).to_numpy().astype(np.int64)

    def of(self, documents: pa.RecordBatch, hits: HitArray) -> pa.Table:
        """`hits` are those of the documents, in their order."""
        starts = np.unique(hits["document"], return_index=True)[1]
        offsets = np.append(starts, len(hits)).astype(np.int32)
        best = hits["query"][starts].tolist()
        texts = zip(documents.column("text"), best, strict=True)
        columns = {
            "id": documents.column("id"),
            "text": documents.column("text"),
            "url": documents.column("url"),
            "domains": self._domain_lists(hits["query"], offsets),
            "queries": pa.ListArray.from_arrays(offsets, self._ids.take(pa.array(hits["query"]))),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(hits["score"])),
            "best_score": pa.array(hits["score"][starts]),
            "query": self._texts.take(pa.array(best, pa.int64())).combine_chunks(),
            "terms": [self._analysis.occurring(self._cached_terms(query), text.as_py()) for text, query in texts],
        }
        return pa.table(columns, schema=RETRIEVED.schema)

    def _domain_lists(self, queries: NDArray[np.uint32], offsets: NDArray[np.int32]) -> pa.ListArray:
        document = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        domain = self._domain_of[queries]
        pairs = np.unique((document * len(self._domains) + domain)[domain >= 0])
        ends = np.searchsorted(pairs, np.arange(len(offsets)) * len(self._domains))
        names = self._domains.take(pa.array(pairs % max(len(self._domains), 1)))
        return pa.ListArray.from_arrays(ends.astype(np.int32), names)

    def _terms(self, query: int) -> list[str]:
        """The terms of a query to highlight: all but the common ones, or all if all are common."""
        text, bm25 = self._texts[query].as_py(), self._bm25
        if bm25 is None:
            return list(dict.fromkeys(self._analysis.terms(text)))
        return bm25.informative(text)


def _coalesced(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in larger tables."""
    pending: list[pa.Table] = []
    size = 0
    for table in tables:
        pending.append(table)
        size += table.nbytes
        if len(pending) == TABLES_AT_A_TIME or size >= BYTES_AT_A_TIME:
            yield pa.concat_tables(pending).combine_chunks()
            pending, size = [], 0
    if pending:
        yield pa.concat_tables(pending).combine_chunks()
