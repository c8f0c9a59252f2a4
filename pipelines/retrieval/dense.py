"""Dense search: passages and queries are embedded by one model, which places similar meanings close together.

A passage scores the cosine similarity of its vector and the query's, a document as its best passage.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from synth.pipelines.retrieval.analysis import Analysis, slices
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.retrieval.nearest import Nearest, build, kind_for
from synth.pipelines.retrieval.searcher import Hits
from synth.pipelines.retrieval.vectors import Vectors, VectorWriter, finish

__all__ = ["Dense", "DenseWriter"]

# Embedded and saved together: what a killed run embeds again. Affects the last bits of the vectors.
PASSAGES_AT_A_TIME = 512
TOKENIZED_AT_A_TIME = 64


class DenseWriter:
    """Embeds documents in passages of `passage_words` words and appends their vectors to those in `folder`.

    `base` is the number of vectors from before this corpus. Passages without a word are skipped; those too long for the
    model are split, since models truncate silently.
    """

    def __init__(self, folder: Path, embedder: Embedder, analysis: Analysis, passage_words: int, base: int = 0) -> None:
        self._writer = VectorWriter(folder, embedder.dimensions, PASSAGES_AT_A_TIME, base)
        self._embedder = embedder
        self._analysis = analysis
        self._passage_words = passage_words
        self._pending: list[tuple[int, str]] = []
        document_of = self._writer.document_of
        self._last = int(document_of[-1]) if len(document_of) else -1
        self._saved_of_last = int(np.count_nonzero(document_of == self._last))

    def add(self, document: int, text: str) -> None:
        """Add the document at this position; documents, including those already saved, come in ascending order."""
        if self._writer.closed or document < self._last:
            return
        for passage in islice(self._passages(text), self._saved_of_last if document == self._last else 0, None):
            self._pending.append((document, passage))
            if len(self._pending) == PASSAGES_AT_A_TIME:
                self._save()

    def close(self, documents: int, faiss: str | None) -> int:
        """Build the index, of type `faiss` or one chosen by size; returns the number of passages."""
        self._save()
        if not self._writer.closed:
            vectors = self._writer.unfinished(documents, faiss or kind_for(self._writer.saved))
            build(vectors)
            finish(vectors)
        return self._writer.saved

    def _passages(self, text: str) -> Iterator[str]:
        passages = filter(self._analysis.has_terms, slices(text, self._passage_words))
        while batch := list(islice(passages, TOKENIZED_AT_A_TIME)):
            yield from self._embedder.split_to_fit(batch)

    def _save(self) -> None:
        if self._pending:
            documents, passages = zip(*self._pending, strict=True)
            self._pending = []
            self._writer.append(self._embedder.passages(passages), np.array(documents, np.uint32))


class Dense:
    """Searches the vectors in `folder` for queries, which `embedder` embeds; `nprobe` is that of `Nearest`."""

    def __init__(self, folder: Path, embedder: Embedder, nprobe: int) -> None:
        vectors = Vectors.open(folder)
        self.documents = vectors.documents
        self._nearest = Nearest(vectors, nprobe)
        self._embedder = embedder

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        return self._nearest.search(self._embedder.queries(queries), k) if queries else iter(())
