"""The sampler of ClusterClip (arXiv 2402.14526, section 3): clusters alike, their documents alike, and the clip.

The published code has no sampler; the paper draws documents of a cluster with replacement. Here a cluster is gone
through in shuffled passes, in each of which every document comes once: so repeats come as late as they can, and no
document is drawn more often than there are passes.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.runtime.repeats import appearances

__all__ = ["sampled"]

Int64s = NDArray[np.int64]
Keys = NDArray[np.uint64]

# Draws of the first portion, and the most of one: they double in between. Both affect which documents are drawn.
FIRST_DRAWS, MOST_DRAWS = 1 << 6, 1 << 20


def sampled(
    labels: NDArray[np.int32], keys: Keys, max_repeats: int | None, rng: np.random.Generator, *, proportional: bool
) -> Iterator[Int64s]:
    """Rows in the order in which they are drawn, in portions, until every row was drawn `max_repeats` times.

    Each draw takes a cluster that has documents left, with equal chances or `proportional` to its documents, and of
    this cluster the next document of its pass. `labels` are the clusters of the rows, and `keys` random numbers of the
    rows, which alone decide the order of a pass.
    """
    passes = _Passes(labels, keys)
    sizes = passes.sizes
    most = sizes * max_repeats if max_repeats else np.where(sizes > 0, np.iinfo(np.int64).max, 0)
    drawn = np.zeros(len(sizes), np.int64)
    draws = FIRST_DRAWS
    while len(left := np.flatnonzero(drawn < most)):
        shares = np.cumsum(sizes[left] if proportional else np.ones(len(left)))
        # The last product may be rounded up to the sum of all shares.
        places = np.searchsorted(shares, rng.random(draws) * shares[-1], side="right")
        clusters = left[np.minimum(places, len(left) - 1)]
        turns = drawn[clusters] + appearances(clusters) - 1
        # Draws of a cluster that was used up before are as if they had not been made.
        is_left = turns < most[clusters]
        clusters, turns = clusters[is_left], turns[is_left]
        drawn += np.bincount(clusters, minlength=len(sizes))
        yield passes.rows(clusters, turns)
        draws = min(2 * draws, MOST_DRAWS)


class _Passes:
    """The rows of each cluster in the order of the pass that it is in."""

    def __init__(self, labels: NDArray[np.int32], keys: Keys) -> None:
        self.sizes = np.bincount(labels)
        self._starts = np.cumsum(self.sizes) - self.sizes
        self._keys = keys
        self._rows = np.argsort(labels, kind="stable")

    def rows(self, clusters: Int64s, turns: Int64s) -> Int64s:
        """The row of each draw, which is draw number `turns`, from 0, of its cluster. Draws come in order."""
        passes, places = np.divmod(turns, self.sizes[clusters])
        rows = np.empty(len(clusters), np.int64)
        by_pass = np.argsort(passes, kind="stable")
        for draws in np.split(by_pass, np.flatnonzero(np.diff(passes[by_pass])) + 1):
            if len(draws):
                number = int(passes[draws[0]])
                self._shuffle(clusters[draws][places[draws] == 0], number)
                rows[draws] = self._rows[self._starts[clusters[draws]] + places[draws]]
        return rows

    def _shuffle(self, clusters: Int64s, number: int) -> None:
        """Put the rows of these clusters in the order of the pass of this number."""
        sizes = self.sizes[clusters]
        places = np.arange(sizes.sum()) + np.repeat(self._starts[clusters] - np.cumsum(sizes) + sizes, sizes)
        rows = self._rows[places]
        # Rows of equal keys keep their order, whatever the pass before.
        order = np.lexsort((rows, _mixed(self._keys[rows], number), np.repeat(np.arange(len(clusters)), sizes)))
        self._rows[places] = rows[order]


def _mixed(keys: Keys, number: int) -> Keys:
    """Other random numbers for each pass: the output function of SplitMix64."""
    keys = keys + np.uint64((number + 1) * 0x9E3779B97F4A7C15 % 2**64)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
