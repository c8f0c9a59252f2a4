"""The clusters of documents: made by k-means, or those that the rows have already."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.clusterclip.kmeans import Clustering, Int32s, Int64s, kmeans, similarities
from synth.pipelines.retrieval.document_vectors import Faults, GivenVectors
from synth.pipelines.runtime.output import Output
from synth.pipelines.runtime.row_hashes import row_hashes
from synth.schemas.atomic import atomic
from synth.schemas.errors import UsageError

__all__ = ["Clusters", "given_clusters", "made_clusters"]

NUMBER, SIMILARITY = "cluster", "similarity"


@dataclass(frozen=True)
class Clusters:
    """Clusters by their place; `numbers` are those that the output shows.

    `labels` has the place of each row's cluster, -1 for rows at fault, and `similarities` the cosines of rows and
    centroids, unless the clusters were given.
    """

    numbers: Int32s
    labels: Int32s
    similarities: NDArray[np.float32] | None
    faults: Faults

    @property
    def rows(self) -> Int64s:
        """The rows that have a cluster."""
        return np.flatnonzero(self.labels >= 0)

    def columns(self, rows: Int64s | slice) -> Mapping[str, pa.Array]:
        """The columns that these rows get; none where they have them already."""
        if self.similarities is None:
            return {}
        return {NUMBER: pa.array(self.labels[rows]), SIMILARITY: pa.array(self.similarities[rows])}

    def counted(self, rows: Int64s, amounts: Int64s | None = None) -> Int64s:
        """For each cluster, how many of these `rows` are in it, or the sum of their `amounts`, which are by row."""
        # Sums of integers are exact in 64-bit floats.
        weights = None if amounts is None else amounts[rows]
        return np.bincount(self.labels[rows], weights, len(self.numbers)).astype(np.int64)

    def nearest(self, most: int) -> tuple[Int64s, Int64s]:
        """Up to so many rows of each cluster, nearest to its centroid first, and where those of each cluster start."""
        if self.similarities is None:
            return np.empty(0, np.int64), np.zeros(len(self.numbers) + 1, np.int64)
        order = np.lexsort((-self.similarities, self.labels))
        order = order[self.labels[order] >= 0]
        sizes = self.counted(self.rows)
        ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return order[ranks < most], np.cumsum([0, *np.minimum(sizes, most)])


def given_clusters(table: pa.Table) -> Clusters:
    """The clusters that the rows have; those without are at fault as `no_cluster`."""
    if NUMBER not in table.column_names:
        raise UsageError(f"--vectors is missing, and the input has no column {NUMBER} either, which would do instead")
    given = table[NUMBER].combine_chunks()
    has_cluster = given.is_valid().to_numpy(zero_copy_only=False)
    labels = np.full(len(given), -1, np.int32)
    numbers, labels[has_cluster] = np.unique(given.drop_null().to_numpy(), return_inverse=True)
    fault = ("no_cluster", f"the column {NUMBER} is null")
    return Clusters(numbers, labels, None, dict.fromkeys(np.flatnonzero(~has_cluster).tolist(), fault))


def made_clusters(table: pa.Table, given: GivenVectors, most: int, iterations: int, output: Output) -> Clusters:
    """Cluster the rows by their vectors into at most so many clusters.

    The centroids of each iteration are saved, so a run that was killed goes on from there.
    """
    laid_out = given.laid_out(table, output.work / "vectors", np.arange(table.num_rows))
    vectors = np.asarray(laid_out.vectors.array)
    saved = output.work / "centroids.npz"

    def passed(state: Clustering) -> None:
        with atomic(saved) as temporary, temporary.open("wb") as file:
            np.savez(file, centroids=state.centroids, iterations=state.iterations, distance=state.distance)
        # Of the iterations, as it is not known when they end.
        output.progress(table.num_rows * state.iterations // max(1, iterations))

    if saved.exists():
        with np.load(saved) as state:
            start = Clustering(state["centroids"], int(state["iterations"]), float(state["distance"]))
    else:
        in_random_order = np.argsort(row_hashes(table["id"], output.salt("centroids"))[laid_out.rows], kind="stable")
        start = Clustering(vectors[np.sort(in_random_order[:most])])
    found = kmeans(vectors, start, iterations, passed)
    labels = np.full(table.num_rows, -1, np.int32)
    labels[laid_out.rows] = found.labels
    cosines = np.full(table.num_rows, np.nan, np.float32)
    cosines[laid_out.rows] = similarities(vectors, found.centroids, found.labels)
    output.tally("iterations", found.iterations)
    output.tally("clustered", len(laid_out.rows))
    output.tally("distance", found.distance * len(laid_out.rows))
    return Clusters(np.arange(len(found.centroids), dtype=np.int32), labels, cosines, laid_out.faults)
