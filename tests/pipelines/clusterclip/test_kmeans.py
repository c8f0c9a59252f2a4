"""K-means: exact whatever the threads and the portions, and better than the published loop where that is wrong."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from synth.pipelines.clusterclip import kmeans as module
from synth.pipelines.clusterclip.kmeans import Clustering, kmeans, similarities
from tests.pipelines.retrieval.test_nearest import clustered

pytest.importorskip("torch", reason="PyTorch is not installed")

Vectors = NDArray[np.float16]


def drawn(count: int, dimensions: int = 24, topics: int = 30, noise: float = 1.0) -> Vectors:
    return clustered(count, dimensions, topics, noise).astype(np.float16)


def exact_labels(vectors: Vectors, centroids: NDArray[np.floating]) -> list[int]:
    """The nearest centroids by inner products of rationals: those of multiples of 2**-24 are integers."""
    grid = 2**24
    one = (vectors.astype(np.float64) * grid).astype(np.int64).astype(object)
    other = (centroids * grid).astype(np.int64).astype(object)
    return [int(np.argmax(row)) for row in one @ other.T]


def test_labels_are_exact_and_belong_to_the_centroids() -> None:
    vectors, passes = drawn(400), []
    found = kmeans(vectors, Clustering(vectors[:20]), 300, passes.append)
    assert len(passes) > 5
    for state in passes:
        assert state.labels.tolist() == exact_labels(vectors, state.centroids)
    cosines = similarities(vectors, found.centroids, found.labels)
    assert found.distance == pytest.approx(1 - cosines.mean(), abs=1e-12)
    assert np.linalg.norm(found.centroids, axis=1) == pytest.approx(1, abs=1e-6)


def test_where_32_bits_cannot_tell_centroids_apart_exact_products_do() -> None:
    vectors = drawn(300)
    steps = np.random.default_rng(0).integers(-2, 3, (50, vectors.shape[1])) * 2.0**-24
    found = kmeans(vectors, Clustering(vectors[0].astype(np.float64) + steps), 0)
    assert found.labels.tolist() == exact_labels(vectors, found.centroids)
    assert len(set(found.labels.tolist())) > 20


def test_each_iteration_lowers_the_distance_until_none_would() -> None:
    vectors, passes = drawn(2000), []
    found = kmeans(vectors, Clustering(vectors[:40]), 300, passes.append)
    distances = [state.distance for state in passes]
    assert all(later < earlier for earlier, later in pairwise(distances))
    assert found.iterations == len(passes) - 1 < 300
    assert kmeans(vectors, found, 300).distance == found.distance
    assert kmeans(vectors, Clustering(vectors[:40]), 2).iterations == 2


SCRIPT = """
import sys
import numpy as np
from synth.pipelines.clusterclip.kmeans import Clustering, kmeans
from tests.pipelines.clusterclip.test_kmeans import drawn
vectors = drawn(20_000, 96, 300)
found = kmeans(vectors, Clustering(vectors[:200]), 8)
sys.stdout.buffer.write(found.centroids.tobytes() + found.labels.tobytes() + np.float64(found.distance).tobytes())
"""


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    outputs = []
    for threads in ("1", "2", "3"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, env=environment, check=True)
        outputs.append(done.stdout)
    assert len(outputs[0]) == 200 * 96 * 8 + 20_000 * 4 + 8
    assert outputs[0] == outputs[1] == outputs[2]


def test_torch_has_as_many_threads_afterwards_as_before() -> None:
    import torch

    def interrupt(_: Clustering) -> None:
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyboardInterrupt):
            kmeans(drawn(50), Clustering(drawn(50)[:5]), 5, interrupt)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_portions_have_no_part_in_the_result(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = drawn(500)
    whole = kmeans(vectors, Clustering(vectors[:20]), 5)
    monkeypatch.setattr(module, "VECTORS_AT_A_TIME", size)
    monkeypatch.setattr(module, "PRODUCTS_AT_A_TIME", 60)
    parts = kmeans(vectors, Clustering(vectors[:20]), 5)
    assert parts.centroids.tobytes() == whole.centroids.tobytes()
    assert (parts.labels.tolist(), parts.distance) == (whole.labels.tolist(), whole.distance)


def test_from_any_state_it_goes_on_to_the_same_end() -> None:
    vectors, passes = drawn(1000), []
    whole = kmeans(vectors, Clustering(vectors[:30]), 300, passes.append)
    assert len(passes) > 5
    for state in (passes[0], passes[3], passes[-1]):
        saved = Clustering(state.centroids, state.iterations, state.distance)
        again = kmeans(vectors, saved, 300)
        assert again.centroids.tobytes() == whole.centroids.tobytes()
        assert (again.iterations, again.distance) == (whole.iterations, whole.distance)
        assert again.labels.tolist() == whole.labels.tolist()


def published(vectors: Vectors, centroids: NDArray[np.floating], iterations: int) -> tuple[NDArray[np.int64], float]:
    """The published loop: an empty cluster keeps its centroid."""
    for _ in range(iterations):
        labels = np.argmax(vectors.astype(np.float64) @ centroids.T, axis=1)
        for cluster in np.unique(labels):
            total = vectors[labels == cluster].astype(np.float64).sum(axis=0)
            centroids[cluster] = total / np.linalg.norm(total)
    return labels, float(1 - np.max(vectors.astype(np.float64) @ centroids.T, axis=1).mean())


def test_an_empty_cluster_gets_a_vector_where_the_published_loop_leaves_it_empty() -> None:
    vectors = np.abs(drawn(600))
    start = np.full((10, vectors.shape[1]), -(24**-0.5))
    start[0] = vectors[1]
    labels, distance = published(vectors, start.copy(), 50)
    assert len(np.unique(labels)) == 1
    found = kmeans(vectors, Clustering(start), 50)
    assert len(np.unique(found.labels)) == 10
    assert found.distance < 0.8 * distance


@given(st.data())
def test_equal_vectors_are_in_one_cluster_and_of_equal_centroids_the_first_has_them(data: st.DataObject) -> None:
    few = drawn(6, 4, 3)
    rows = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=40))
    starts = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    vectors = few[rows]
    found = kmeans(vectors, Clustering(few[starts]), 20)
    assert found.labels.tolist() == exact_labels(vectors, found.centroids)
    for row in set(rows):
        assert len({label for label, at in zip(found.labels.tolist(), rows, strict=True) if at == row}) == 1


def test_more_vectors_than_one_portion_are_added_up_without_an_error() -> None:
    vectors = drawn(50_000, 8, 5)
    found = kmeans(vectors, Clustering(vectors[:1]), 3)
    total = (vectors.astype(np.float64) * 2**24).astype(np.int64).sum(axis=0) / 2**24
    assert found.centroids[0] == pytest.approx(total / np.linalg.norm(total), abs=2**-24)
    assert set(found.labels.tolist()) == {0}
