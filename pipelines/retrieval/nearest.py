"""Nearest-neighbor search with FAISS: an index proposes candidates, and the vectors themselves rank them.

The number of vectors decides the type of index: exhaustive search (`flat`), or search in the clusters nearest to the
query, with a byte per dimension (`ivf`) or per eight dimensions (`ivfpq`). The scores, and so the ranking, always come
from the memory-mapped vectors.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial
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

__all__ = ["FLAT", "INDEX", "KINDS", "Nearest", "build", "kind_for", "knn"]

FLAT, IVF, IVFPQ = "flat", "ivf", "ivfpq"
KINDS = (FLAT, IVF, IVFPQ)
# Maximum passages for each type.
MAX_FLAT, MAX_IVF = 100_000, 1_000_000

INDEX = "index.faiss"
SEED = 1234
MAX_CLUSTERS = 8192
# Training vectors per cluster, and per byte value for the codes of `ivfpq`.
BYTE_VALUES = 256
SAMPLE_PER_CLUSTER, MAX_SAMPLE, SAMPLE_PER_VALUE = 64, 1 << 18, 64
VECTORS_AT_A_TIME = 1 << 16
# Candidates per passage wanted, and their minimum.
CANDIDATES = {FLAT: 1, IVF: 2, IVFPQ: 5}
MIN_CANDIDATES = 200
# Maximum candidates of a query; on a GPU, FAISS returns no more.
MAX_CANDIDATES, MAX_ON_GPU = 1 << 14, 2048
CANDIDATES_AT_A_TIME = 1 << 21
# Those whose vectors a thread compares at a time: some 50 MB of them.
COMPARED_AT_A_TIME = 1 << 14
# Maximum difference between FAISS's scores and ours.
SLACK = np.float32(1e-5)


def kind_for(passages: int) -> str:
    """The default type of index for this number of passages."""
    return FLAT if passages <= MAX_FLAT else IVF if passages <= MAX_IVF else IVFPQ


def build(vectors: Vectors) -> None:
    """Write the index of `vectors` beside them, according to their type. Deterministic.

    Clusters are trained on a bounded sample and vectors are added in batches, so they never all have to fit in memory.
    """
    if vectors.faiss == FLAT:
        return
    import faiss

    array = vectors.array
    index = _untrained(vectors.passages, vectors.dimensions, vectors.faiss)
    if _gpus():
        # In a variable, since the index does not keep it alive.
        on_gpus = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(vectors.dimensions))
        index.clustering_index = on_gpus
    index.train(_sample(array, min(SAMPLE_PER_CLUSTER * index.nlist, MAX_SAMPLE)))
    for start in range(0, len(array), VECTORS_AT_A_TIME):
        index.add(array[start : start + VECTORS_AT_A_TIME].astype(np.float32))
    try:
        with atomic(vectors.folder / INDEX) as temporary:
            faiss.write_index(index, str(temporary))
    except RuntimeError as error:
        raise SynthError(f"{vectors.folder} cannot be written: {_last_line(error)}") from error


def _untrained(passages: int, dimensions: int, kind: str) -> "faiss.IndexIVF":
    import faiss

    clusters = min(1 << round(np.log2(4 * passages**0.5)), MAX_CLUSTERS, passages)
    # Eight dimensions per byte, or else four, two or one, whichever divides them.
    pieces = dimensions // next(width for width in (8, 4, 2, 1) if dimensions % width == 0)
    is_pq = kind == IVFPQ and passages >= BYTE_VALUES
    code = f"PQ{pieces}x8" if is_pq else "SQ8"
    index = faiss.index_factory(dimensions, f"IVF{clusters},{code}", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = SEED
    index.cp.min_points_per_centroid = 1
    if is_pq:
        # Slow, and only of use for a filter that we do not apply.
        index.do_polysemous_training = False
        index.pq.cp.seed = SEED
        index.pq.cp.min_points_per_centroid = 1
        index.pq.cp.max_points_per_centroid = SAMPLE_PER_VALUE
    return index


def _sample(array: NDArray[np.float16], size: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(SEED).choice(len(array), min(size, len(array)), replace=False)
    return array[np.sort(drawn)].astype(np.float32)


class Nearest:
    """Searches `vectors`; in a clustered index, the `nprobe` clusters nearest to the query."""

    def __init__(self, vectors: Vectors, nprobe: int) -> None:
        """Raises `InputError` if the index is missing or this version of FAISS cannot read it."""
        # Still memory-mapped, but without the overhead of `np.memmap` on each access.
        self._vectors = np.asarray(vectors.array)
        self._document_of = vectors.document_of
        self._kind = vectors.faiss
        self._most = min(MAX_ON_GPU if _gpus() else MAX_CANDIDATES, vectors.passages)
        self._index = None if vectors.faiss == FLAT else _read(vectors.folder / INDEX, nprobe)
        if self._index is not None and self._index.ntotal != vectors.passages:
            raise InputError(
                f"{vectors.folder} is damaged: its {INDEX} does not match its vectors; index the corpus again"
            )

    def search(self, queries: NDArray[np.float32], k: int) -> Iterator[Hits]:
        """The `k` documents with the best passages for each row of `queries`; a score is an inner product."""
        hits: dict[int, Hits] = {}
        unanswered = np.arange(len(queries))
        limit = max(CANDIDATES[self._kind] * (k + k // 2), MIN_CANDIDATES)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while len(unanswered):
                limit = min(limit, self._most)
                for batch in np.array_split(unanswered, -(-len(unanswered) * limit // CANDIDATES_AT_A_TIME)):
                    best = pool.map(self._best, queries[batch], *self._candidates(queries[batch], limit), repeat(k))
                    hits |= {
                        query: found for query, found in zip(batch.tolist(), best, strict=True) if found is not None
                    }
                unanswered = np.array([query for query in unanswered.tolist() if query not in hits], int)
                limit *= 4
        return map(hits.__getitem__, range(len(queries)))

    def others(self, rows: NDArray[np.int64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `k` vectors nearest to each of those at `rows`, without itself; ties in index order.

        Returns their positions, -1 where there are fewer, and the cosines, which do not depend on which of the two
        vectors was searched for: both of shape (rows, k), the best first.
        """
        found = np.full((len(rows), k), -1, np.int64)
        cosines = np.full((len(rows), k), -np.inf, np.float32)
        unanswered = np.arange(len(rows))
        limit = CANDIDATES[self._kind] * (k + k // 2) + 1
        if self._kind == IVFPQ:
            limit = max(limit, MIN_CANDIDATES)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while len(unanswered):
                limit = min(limit, self._most)
                again = []
                for batch in np.array_split(unanswered, -(-len(unanswered) * limit // CANDIDATES_AT_A_TIME)):
                    scores, candidates = self._candidates(self._vectors[rows[batch]].astype(np.float32), limit)
                    pieces = -(-len(batch) * limit // COMPARED_AT_A_TIME)
                    parts = (np.array_split(each, pieces) for each in (rows[batch], scores, candidates))
                    best = zip(*pool.map(self._compared, *parts, repeat(k)), strict=True)
                    found[batch], cosines[batch], is_answered = map(np.concatenate, best)
                    again.append(batch[~is_answered])
                unanswered = np.concatenate(again)
                limit *= 4
        return found, cosines

    def _compared(
        self, rows: NDArray[np.int64], scores: NDArray[np.float32], candidates: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
        """The best `k` of the candidates of each row and their cosines; and whether none beyond them is as good."""
        chosen = candidates >= 0
        may_be_more = np.all(chosen, axis=1) & (candidates.shape[1] < self._most)
        # As for `search`.
        chosen &= ~may_be_more[:, None] | (scores > scores.min(axis=1, keepdims=True) + SLACK)
        chosen &= candidates != rows[:, None]
        vectors = self._vectors.take(np.maximum(candidates, 0), axis=0).astype(np.float64)
        products = np.einsum("ijk,ik->ij", vectors, self._vectors[rows].astype(np.float64))
        cosines = np.where(chosen, products / (self._lengths[rows][:, None] * self._lengths[candidates]), -np.inf)
        cosines = np.pad(cosines, ((0, 0), (0, k)), constant_values=-np.inf).astype(np.float32)
        candidates = np.where(np.isinf(cosines), -1, np.pad(candidates, ((0, 0), (0, k))))
        order = np.lexsort((candidates, -cosines))[:, :k]
        best = np.take_along_axis(candidates, order, 1), np.take_along_axis(cosines, order, 1)
        return *best, ~may_be_more | (np.count_nonzero(chosen, axis=1) >= k)

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """Those of the vectors, which are not quite 1 in 16 bits."""
        starts = range(0, len(self._vectors), VECTORS_AT_A_TIME)
        parts = (self._vectors[start : start + VECTORS_AT_A_TIME].astype(np.float64) for start in starts)
        return np.concatenate([np.linalg.norm(part, axis=1) for part in parts])

    def _best(
        self, query: NDArray[np.float32], scores: NDArray[np.float32], candidates: NDArray[np.int64], k: int
    ) -> Hits | None:
        """The hits of one query; None if there are too few, as candidates beyond the limit might be as good.

        `scores` are those by which FAISS ranked the candidates.
        """
        chosen = candidates >= 0
        may_be_more = bool(chosen.all()) and len(candidates) < self._most
        if may_be_more:
            # FAISS may have omitted passages that it scores like the last one.
            chosen = scores > scores.min() + SLACK
        passages = np.sort(candidates[chosen])
        # Rounded from a higher precision, so that equal vectors score the same at any position.
        exact = (self._vectors.take(passages, axis=0).astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        hits = Hits(*best_documents(self._document_of[passages].astype(np.int64), exact, k))
        return None if may_be_more and len(hits) < k else hits

    def _candidates(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and positions of up to `limit` passages for each query, in rows padded with -1."""
        if self._index is not None:
            scores, passages = self._index.search(queries, limit)
            return scores, passages
        scores = np.empty((len(queries), 0), np.float32)
        passages = np.empty((len(queries), 0), np.int64)
        for start in range(0, len(self._vectors), VECTORS_AT_A_TIME):
            batch = self._vectors[start : start + VECTORS_AT_A_TIME].astype(np.float32)
            more, where = knn(queries, batch, min(limit, len(batch)))
            scores, passages = np.hstack([scores, more]), np.hstack([passages, where + start])
            if scores.shape[1] > limit:
                first = np.argpartition(-scores, limit - 1, axis=1)[:, :limit]
                scores, passages = np.take_along_axis(scores, first, 1), np.take_along_axis(passages, first, 1)
        return scores, passages


def knn(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The `k` largest inner products of each query, and the rows of `vectors` that have them, both (queries, k)."""
    import faiss

    search = partial(faiss.knn_gpu, _gpu_resources()) if _gpus() else faiss.knn
    scores, passages = search(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
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
    # Too large for the GPUs, or an unsupported code length.
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
    """The message without the source position that FAISS prepends."""
    return str(error).splitlines()[-1].rpartition("Error: ")[2]
