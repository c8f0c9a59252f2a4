"""Reciprocal rank fusion of several rankings (Cormack, Clarke and Buettcher, SIGIR 2009).

A document scores the sum of `1 / (60 + rank)` over the searchers that found it, with ranks from 1. The searchers' own
scores are not comparable and are ignored.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from synth.pipelines.retrieval.searcher import Hits, Searcher

__all__ = ["Fusion", "fused"]

# As in the paper, where its value makes little difference.
K = 60
# Minimum hits to take from each ranking: a document far down in two of them may beat the first of one.
DEPTH = 200


class Fusion:
    """Combines several searchers over the same documents."""

    def __init__(self, searchers: Sequence[Searcher]) -> None:
        self._searchers = searchers

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        found = [searcher.search(queries, max(k, DEPTH)) for searcher in self._searchers]
        return (fused(rankings, k) for rankings in zip(*found, strict=True))


def fused(rankings: Sequence[Hits], k: int) -> Hits:
    """The `k` best documents; ties are broken by index order."""
    ords, where = np.unique(np.concatenate([hits.ords for hits in rankings]), return_inverse=True)
    shares = np.concatenate([1 / (K + np.arange(1, len(hits) + 1)) for hits in rankings])
    scores = np.bincount(where, shares, len(ords)).astype(np.float32)
    best = np.lexsort((ords, -scores))[:k]
    return Hits(ords[best].astype(np.int64), scores[best])
