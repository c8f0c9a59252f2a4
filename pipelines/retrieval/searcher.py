"""The interface of all searchers of an index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hits", "Searcher", "best_documents"]


@dataclass(frozen=True, slots=True)
class Hits:
    """The hits of one query: each document once, best first, ties broken by index order.

    `ords` are positions of documents in the index, from 0.
    """

    ords: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ords)


class Searcher(Protocol):
    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        """Up to `k` hits for each of `queries`, in their order."""
        ...


def best_documents(ords: NDArray[np.int64], scores: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The `k` best documents of scored passages, each with the score of its best passage; ties in index order."""
    order = np.lexsort((ords, -scores))
    ords, scores = ords[order], scores[order]
    best = np.sort(np.unique(ords, return_index=True)[1])[:k]
    return ords[best], scores[best]
