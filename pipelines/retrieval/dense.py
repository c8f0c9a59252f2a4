"""Dense search: passages and queries as vectors of one model, near to each other where they mean the same.

The score of a passage is the cosine of its vector and the query's, that of a document the score of its best passage.
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

# Embedded and laid by together: what a killed run embeds again. Part of what determines the last bits of the vectors.
PASSAGES_AT_A_TIME = 512
TOKENIZED_AT_A_TIME = 64


class DenseWriter:
    """Embeds documents, cut into passages of `passage_words` words, and appends their vectors to those in `folder`.

    `base` is how many there were before this corpus. A passage without a word is left out; one of more tokens than the
    model reads is halved, since models read no further and say nothing.
    """

    def __init__(self, folder: Path, embedder: Embedder, analysis: Analysis, passage_words: int, base: int = 0) -> None:
        self._writer = VectorWriter(folder, embedder.dimensions, PASSAGES_AT_A_TIME, base)
        self._embedder = embedder
        self._analysis = analysis
        self._passage_words = passage_words
        self._pending: list[tuple[int, str]] = []
        of = self._writer.of
        self._last = int(of[-1]) if len(of) else -1
        self._laid_by_of_last = int(np.count_nonzero(of == self._last))

    def add(self, document: int, text: str) -> None:
        """Add the document at this position; documents come in ascending order, those that are laid by, too."""
        if self._writer.closed or document < self._last:
            return
        for passage in islice(self._passages(text), self._laid_by_of_last if document == self._last else 0, None):
            self._pending.append((document, passage))
            if len(self._pending) == PASSAGES_AT_A_TIME:
                self._lay_by()

    def close(self, documents: int, faiss: str | None) -> int:
        """Make what there is searchable, by the kind of index named or one chosen by size; the number of passages."""
        self._lay_by()
        if not self._writer.closed:
            vectors = self._writer.unfinished(documents, faiss or kind_for(self._writer.laid_by))
            build(vectors)
            finish(vectors)
        return self._writer.laid_by

    def _passages(self, text: str) -> Iterator[str]:
        passages = filter(self._analysis.has_terms, slices(text, self._passage_words))
        while some := list(islice(passages, TOKENIZED_AT_A_TIME)):
            yield from self._embedder.whole(some)

    def _lay_by(self) -> None:
        pending, self._pending = self._pending, []
        if pending:
            of = np.array([document for document, _ in pending], np.uint32)
            self._writer.append(self._embedder.passages([passage for _, passage in pending]), of)


class Dense:
    """Searches the vectors in `folder`, with those of queries that `embedder` makes; `nprobe` is that of `Nearest`."""

    def __init__(self, folder: Path, embedder: Embedder, nprobe: int) -> None:
        vectors = Vectors.open(folder)
        self.documents = vectors.documents
        self._nearest = Nearest(vectors, nprobe)
        self._embedder = embedder

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        return self._nearest.search(self._embedder.queries(queries), k) if queries else iter(())
