"""Spherical k-means, which repeats to the byte whatever the number of threads (ClusterClip, arXiv 2402.14526).

The distance is 1 - cosine; a centroid is the sum of its vectors, made a unit vector. What makes it repeatable is exact
arithmetic. Numbers of 16 bits between -1 and 1 are multiples of 2**-24, and centroids are rounded to such multiples.
So in 64 bits neither the sum of up to 2**28 vectors nor an inner product is ever rounded, in whatever order its terms
are added. Vectors and centroids are compared in 32 bits; where that cannot tell two clusters apart, exact inner
products decide.

The published loop (choosewhatulike/cluster-clip) pairs the labels of its last pass with the centroids of its best one,
which later updates overwrite in part, and lets an empty cluster keep its centroid. Here labels always belong to the
centroids that are returned, and an empty cluster gets a new one.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["Clustering", "Int32s", "Int64s", "Matrix", "kmeans", "similarities"]

Matrix = NDArray[np.floating]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

GRID = 2.0**24
# So few that their inner products usually stay in the cache of a processor; with more than 4,096 clusters, fewer.
VECTORS_AT_A_TIME, PRODUCTS_AT_A_TIME = 1 << 10, 1 << 22


@dataclass(frozen=True)
class Clustering:
    """Centroids, shape (clusters, dimensions), after `iterations` updates.

    `labels` are the clusters of the vectors by these centroids, and `distance` is the mean distance to them; before
    the first pass over the vectors there are none.
    """

    centroids: Matrix
    iterations: int = 0
    distance: float = np.inf
    labels: Int32s = field(default_factory=lambda: np.empty(0, np.int32))


def kmeans(
    vectors: Matrix, start: Clustering, iterations: int, passed: Callable[[Clustering], None] = lambda _: None
) -> Clustering:
    """Cluster unit vectors, shape (vectors, dimensions), from the centroids of `start` on.

    Ends after so many `iterations`, or where one has not lowered the mean distance: then no other would. Calls `passed`
    with the state after each pass; starting from that state leads to the same bytes.
    """
    best = start
    centroids: Matrix = _on_grid(start.centroids)
    with _threads() as threads:
        members = _Members(vectors, len(start.centroids), threads)
        for number in range(start.iterations, iterations + 1):
            members.assign(centroids)
            distance = members.distance(centroids)
            if number > start.iterations and distance >= best.distance:
                break
            best = Clustering(centroids, number, distance, members.labels)
            passed(best)
            centroids = members.centroids(centroids)
    return best


def similarities(vectors: Matrix, centroids: Matrix, labels: Int32s) -> NDArray[np.float64]:
    """The inner product of each vector and the centroid of its cluster, exact."""
    parts = _portions(len(vectors), VECTORS_AT_A_TIME)
    return np.concatenate(
        [np.einsum("ij,ij->i", _exact(vectors[part]).numpy(), centroids[labels[part]]) for part in parts]
    )


class _Members:
    """The vectors of each cluster, as the `labels` of all vectors, and the sums of the clusters."""

    def __init__(self, vectors: Matrix, clusters: int, threads: Executor) -> None:
        self._vectors = vectors
        self._threads = threads
        self._centroids: Matrix = np.full((clusters, vectors.shape[1]), np.nan)
        self._sums = np.zeros((clusters, vectors.shape[1]))
        self._sizes = np.zeros(clusters, np.int64)
        self.labels: Int32s = np.full(len(vectors), -1, np.int32)
        # Of each vector and the centroid of its cluster.
        self._products = np.empty(len(vectors), np.float32)

    def assign(self, centroids: Matrix) -> None:
        """Move each vector to the cluster of the nearest centroid; of equally near ones, to the first.

        To a vector whose centroid has not changed, none of the others that have not has come nearer: it is compared
        only with those that have.
        """
        has_changed = np.any(centroids != self._centroids, axis=1)
        self._centroids = centroids
        is_open = has_changed[self.labels]
        self._products[is_open] = -np.inf
        labels = self.labels.copy()
        labels[is_open] = self._nearest(np.flatnonzero(is_open), np.arange(len(centroids)))
        if has_changed.any():
            labels[~is_open] = self._nearest(np.flatnonzero(~is_open), np.flatnonzero(has_changed))
        moved = np.flatnonzero(labels != self.labels)
        for part in _portions(len(moved), VECTORS_AT_A_TIME):
            rows = moved[part]
            vectors = _exact(self._vectors[rows])
            self._add(vectors, labels[rows], 1)
            was_member = self.labels[rows] >= 0
            self._add(vectors[was_member], self.labels[rows][was_member], -1)
        self.labels = labels

    def _nearest(self, rows: Int64s, among: Int64s) -> Int32s:
        """The clusters of these rows: of each the one that it has, or one of those to choose `among`."""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        centroids = torch.tensor(self._centroids[among], dtype=torch.float32, device=device).T
        labels, is_close = self.labels[rows], np.empty(len(rows), np.bool_)
        # More than the errors of two inner products, whatever the order of their terms.
        tolerance = 2.01 * self._vectors.shape[1] * 2.0**-24

        def compare(part: slice) -> None:
            products = torch.from_numpy(self._vectors[rows[part]]).to(device).float() @ centroids
            # On a processor, NumPy finds the largest several times as fast as torch.
            best = products.argmax(1) if products.is_cuda else torch.from_numpy(products.numpy().argmax(1))
            largest = products.gather(1, best[:, None])[:, 0].cpu().numpy()
            next_largest = products.scatter_(1, best[:, None], -torch.inf).amax(1).cpu().numpy()
            own = self._products[rows[part]]
            moves = largest > own
            labels[part][moves] = among[best.cpu().numpy()[moves]]
            ranked = np.sort([own, largest, next_largest], axis=0)
            is_close[part] = ranked[2] - ranked[1] <= tolerance
            # Where another cluster turns out to be nearer, this is no further from its product than from its own.
            self._products[rows[part]] = ranked[2]

        exact_centroids = _exact(self._centroids).T

        def decide(close: Int64s) -> None:
            products = _exact(self._vectors[rows[close]]) @ exact_centroids
            labels[close] = np.argmax(products.numpy(), axis=1)

        most = max(1, min(VECTORS_AT_A_TIME, PRODUCTS_AT_A_TIME // len(self._centroids)))
        list(self._threads.map(compare, _portions(len(rows), most)))
        close = np.flatnonzero(is_close)
        list(self._threads.map(decide, (close[part] for part in _portions(len(close), most))))
        return labels

    def _add(self, vectors: "torch.Tensor", labels: Int32s, sign: int) -> None:
        import torch

        torch.from_numpy(self._sums).index_add_(0, torch.from_numpy(labels), vectors, alpha=sign)
        self._sizes += sign * np.bincount(labels, minlength=len(self._sizes))

    def distance(self, centroids: Matrix) -> float:
        """The mean distance of a vector and its centroid."""
        return float(1 - np.sum(self._sums * centroids) / len(self._vectors))

    def centroids(self, last: Matrix) -> Matrix:
        """The means of the clusters as unit vectors; an empty cluster gets the vector that fits worst where it is.

        Several empty clusters take vectors of different clusters. Where there are no such vectors, or the mean is 0, a
        cluster keeps its `last` centroid.
        """
        norms = np.linalg.norm(self._sums, axis=1)
        centroids = np.where(norms[:, None] > 0, self._sums / np.where(norms > 0, norms, 1)[:, None], last)
        empty = np.flatnonzero(self._sizes == 0)
        if len(empty):
            cosines = similarities(self._vectors, last, self.labels)
            worst_first = np.argsort(cosines, kind="stable")
            _, first = np.unique(self.labels[worst_first], return_index=True)
            donors = worst_first[np.sort(first)]
            donors = donors[self._sizes[self.labels[donors]] > 1][: len(empty)]
            centroids[empty[: len(donors)]] = self._vectors[donors]
        return _on_grid(centroids)


@contextmanager
def _threads() -> Iterator[Executor]:
    """As many threads as torch has. Each computes by itself: those that share a product wait for each other."""
    import torch

    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as threads:
            yield threads
    finally:
        torch.set_num_threads(count)


def _portions(size: int, most: int) -> Iterator[slice]:
    return (slice(start, start + most) for start in range(0, size, most))


def _exact(vectors: Matrix) -> "torch.Tensor":
    import torch

    return torch.tensor(vectors).double()


def _on_grid(centroids: Matrix) -> NDArray[np.float64]:
    return np.round(centroids.astype(np.float64) * GRID) / GRID
