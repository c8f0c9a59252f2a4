"""What every engine that searches an index directory does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hits", "Searcher", "best_documents"]


@dataclass(frozen=True, slots=True)
class Hits:
    """What one query found: each document once, the best first, equal scores by the documents' order in the index.

    `ords` are positions of documents in the index, from 0.
    """

    ords: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ords)


class Searcher(Protocol):
    """A way to search an index."""

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        """Up to `k` documents for each of `queries`, in their order."""
        ...


def best_documents(ords: NDArray[np.int64], scores: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Of passages, the `k` best documents, each with the score of its best passage; equal ones in their order."""
    order = np.lexsort((ords, -scores))
    ords, scores = ords[order], scores[order]
    best = np.sort(np.unique(ords, return_index=True)[1])[:k]
    return ords[best], scores[best]
