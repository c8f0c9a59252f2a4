"""Rankings of several engines as one, by reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009).

A document scores the sum of `1 / (60 + rank)` over the engines that found it, ranks from 1. The engines' own scores,
which say nothing of one another, play no part.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from synth.pipelines.retrieval.searcher import Hits, Searcher

__all__ = ["Fusion", "fused"]

# The constant of the paper, which found that little depends on it.
K = 60
# A document far down in two rankings may come before the first of one: so many are looked at, or as many as are wanted.
DEPTH = 200


class Fusion:
    """Searches with several engines over the same documents."""

    def __init__(self, engines: Sequence[Searcher]) -> None:
        self._engines = engines

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        found = [engine.search(queries, max(k, DEPTH)) for engine in self._engines]
        return (fused(rankings, k) for rankings in zip(*found, strict=True))


def fused(rankings: Sequence[Hits], k: int) -> Hits:
    """The `k` best of all; equal ones in the order of the index."""
    ords, where = np.unique(np.concatenate([hits.ords for hits in rankings]), return_inverse=True)
    shares = np.concatenate([1 / (K + np.arange(1, len(hits) + 1)) for hits in rankings])
    scores = np.bincount(where, shares, len(ords)).astype(np.float32)
    best = np.lexsort((ords, -scores))[:k]
    return Hits(ords[best].astype(np.int64), scores[best])
