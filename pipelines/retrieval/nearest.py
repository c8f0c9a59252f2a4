"""The nearest of many vectors with FAISS: candidates by an index, their order by the vectors themselves.

How many there are decides how they are searched: all of them in turn (`flat`), or those of the clusters nearest to the
query, kept as a byte a dimension (`ivf`) or a byte for eight of them (`ivfpq`). An index only proposes candidates. What
they score, and so which of them are the best, is calculated from the memory-mapped vectors.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.retrieval.searcher import Hits, best_documents
from synth.pipelines.retrieval.vectors import Vectors
from synth.schemas.atomic import atomic
from synth.schemas.errors import InputError, SynthError

if TYPE_CHECKING:
    import faiss

__all__ = ["KINDS", "Nearest", "build", "kind_for"]

FLAT, IVF, IVFPQ = "flat", "ivf", "ivfpq"
KINDS = (FLAT, IVF, IVFPQ)
# The most passages for which each is chosen.
MOST_FLAT, MOST_IVF = 100_000, 1_000_000

INDEX = "index.faiss"
SEED = 1234
MOST_CLUSTERS = 8192
# Vectors that clusters are learnt from, and that the bytes of `ivfpq` are, for each cluster and each value of a byte.
VALUES = 256
SAMPLE_PER_CLUSTER, MOST_SAMPLE, SAMPLE_PER_VALUE = 64, 1 << 18, 64
VECTORS_AT_A_TIME = 1 << 16
# Candidates for each passage that is wanted, and at least.
CANDIDATES = {FLAT: 1, IVF: 2, IVFPQ: 5}
FEWEST_CANDIDATES = 200
# For one query: on a GPU FAISS gives no more.
MOST_CANDIDATES, MOST_ON_GPU = 1 << 14, 2048
CANDIDATES_AT_A_TIME = 1 << 21
# By no more do the scores that FAISS sorts by differ from ours.
SLACK = np.float32(1e-5)


def kind_for(passages: int) -> str:
    """How so many vectors are searched where nobody has chosen."""
    return FLAT if passages <= MOST_FLAT else IVF if passages <= MOST_IVF else IVFPQ


def build(vectors: Vectors) -> None:
    """Write the index beside `vectors` that their kind asks for. The same vectors give the same bytes.

    Clusters are learnt from a bounded sample, and vectors added in stretches: all of them are never in memory.
    """
    if vectors.faiss == FLAT:
        return
    import faiss

    array = vectors.array
    index = _untrained(vectors.passages, vectors.dimensions, vectors.faiss)
    if _gpus():
        # Bound to a name: the index does not keep it alive.
        on_gpus = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(vectors.dimensions))
        index.clustering_index = on_gpus
    index.train(_sample(array, min(SAMPLE_PER_CLUSTER * index.nlist, MOST_SAMPLE)))
    for start in range(0, len(array), VECTORS_AT_A_TIME):
        index.add(array[start : start + VECTORS_AT_A_TIME].astype(np.float32))
    try:
        with atomic(vectors.folder / INDEX) as temporary:
            faiss.write_index(index, str(temporary))
    except RuntimeError as error:
        raise SynthError(f"{vectors.folder} cannot be written: {_last_line(error)}") from error


def _untrained(passages: int, dimensions: int, kind: str) -> "faiss.IndexIVF":
    import faiss

    clusters = min(1 << round(np.log2(4 * passages**0.5)), MOST_CLUSTERS, passages)
    # Eight dimensions to a byte, or four, two, one where that does not divide them.
    pieces = dimensions // next(width for width in (8, 4, 2, 1) if dimensions % width == 0)
    in_pieces = kind == IVFPQ and passages >= VALUES
    code = f"PQ{pieces}x8" if in_pieces else "SQ8"
    index = faiss.index_factory(dimensions, f"IVF{clusters},{code}", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = SEED
    index.cp.min_points_per_centroid = 1
    if in_pieces:
        # For a filter that is not used, and takes longer to learn than all else.
        index.do_polysemous_training = False
        index.pq.cp.seed = SEED
        index.pq.cp.min_points_per_centroid = 1
        index.pq.cp.max_points_per_centroid = SAMPLE_PER_VALUE
    return index


def _sample(array: NDArray[np.float16], size: int) -> NDArray[np.float32]:
    if size >= len(array):
        return array.astype(np.float32)
    drawn = np.random.default_rng(SEED).choice(len(array), size, replace=False)
    return array[np.sort(drawn)].astype(np.float32)


class Nearest:
    """Searches `vectors`. Of an index of clusters, the `nprobe` nearest to the query are looked into."""

    def __init__(self, vectors: Vectors, nprobe: int) -> None:
        """Raises `InputError` where the index is not there or not one that this version of FAISS can read."""
        # Mapped all the same, without what the class of mapped arrays does whenever something is taken from it.
        self._vectors = np.asarray(vectors.array)
        self._of = vectors.of
        self._kind = vectors.faiss
        self._most = min(MOST_ON_GPU if _gpus() else MOST_CANDIDATES, vectors.passages)
        self._index = None if vectors.faiss == FLAT else _read(vectors.folder / INDEX, nprobe)
        if self._index is not None and self._index.ntotal != vectors.passages:
            raise InputError(f"{vectors.folder} is damaged: its {INDEX} is not of its vectors; index the corpus again")

    def search(self, queries: NDArray[np.float32], k: int) -> Iterator[Hits]:
        """The `k` documents with the best passages for each row of `queries`; a score is an inner product."""
        hits: dict[int, Hits] = {}
        left = np.arange(len(queries))
        limit = max(CANDIDATES[self._kind] * (k + k // 2), FEWEST_CANDIDATES)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while len(left):
                limit = min(limit, self._most)
                for some in np.array_split(left, -(-len(left) * limit // CANDIDATES_AT_A_TIME)):
                    best = pool.map(self._best, queries[some], *self._candidates(queries[some], limit), repeat(k))
                    hits |= {
                        query: found for query, found in zip(some.tolist(), best, strict=True) if found is not None
                    }
                left = left[[query not in hits for query in left.tolist()]]
                limit *= 4
        return map(hits.__getitem__, range(len(queries)))

    def _best(
        self, query: NDArray[np.float32], proposed_by: NDArray[np.float32], candidates: NDArray[np.int64], k: int
    ) -> Hits | None:
        """The hits of one query; None where they are too few, or further candidates might be as good and earlier.

        `proposed_by` are the scores by which FAISS chose the candidates.
        """
        chosen = candidates >= 0
        may_be_more = bool(chosen.all()) and len(candidates) < self._most
        if may_be_more:
            # Of those that FAISS finds as good as the last it may have left some.
            chosen = proposed_by > proposed_by.min() + SLACK
        passages = np.sort(candidates[chosen])
        # Rounded from more digits than are needed, so that equal vectors score the same wherever they stand.
        scores = (self._vectors.take(passages, axis=0).astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        hits = Hits(*best_documents(self._of[passages].astype(np.int64), scores, k))
        return None if may_be_more and len(hits) < k else hits

    def _candidates(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Up to `limit` passages for each query, and their scores, in rows that -1 fills up."""
        if self._index is None:
            return self._first_of_all(queries, limit)
        scores, passages = self._index.search(queries, limit)
        return scores, passages

    def _first_of_all(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        scores = np.empty((len(queries), 0), np.float32)
        passages = np.empty((len(queries), 0), np.int64)
        for start in range(0, len(self._vectors), VECTORS_AT_A_TIME):
            stretch = self._vectors[start : start + VECTORS_AT_A_TIME].astype(np.float32)
            more, where = _knn(queries, stretch, min(limit, len(stretch)))
            scores, passages = np.hstack([scores, more]), np.hstack([passages, where + start])
            if scores.shape[1] > limit:
                first = np.argpartition(-scores, limit - 1, axis=1)[:, :limit]
                scores, passages = np.take_along_axis(scores, first, 1), np.take_along_axis(passages, first, 1)
        return scores, passages


def _knn(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    import faiss

    if _gpus():
        found = faiss.knn_gpu(_gpu_resources(), queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    else:
        found = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    scores, passages = found
    return scores, passages


def _read(file: Path, nprobe: int) -> "faiss.IndexIVF":
    import faiss

    try:
        index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise InputError(f"{file} cannot be read by FAISS {faiss.__version__}: {_last_line(error)}") from error
    index.nprobe = nprobe
    if not _gpus():
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = True
    try:
        return faiss.index_cpu_to_all_gpus(index, options)
    # Too large for the GPUs, or codes of a length that they do not know.
    except RuntimeError:
        return index


def _gpus() -> int:
    import faiss

    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


@cache
def _gpu_resources() -> Any:
    import faiss

    return faiss.StandardGpuResources()


def _last_line(error: RuntimeError) -> str:
    """FAISS puts the function and the line of its source first."""
    return str(error).splitlines()[-1].rpartition("Error: ")[2]
