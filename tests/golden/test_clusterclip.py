"""The worked vectors of ClusterClip (arXiv 2402.14526): its k-means, and how often clusters are drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from synth.pipelines.clusterclip.kmeans import Clustering, kmeans, similarities
from synth.pipelines.clusterclip.sampling import sampled
from synth.pipelines.clusterclip.select import ClusterClip
from synth.pipelines.retrieval.document_vectors import GivenVectors
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from tests.rows import rows_of, write_rows

pytest.importorskip("torch", reason="PyTorch is not installed")

POINTS = [(1, 0), (0.98, 0.2), (0.96, 0.28), (0, 1), (0.2, 0.98), (0.28, 0.96)]


def unit(points: list[tuple[float, ...]]) -> NDArray[np.float64]:
    vectors = np.array(points, float)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_six_vectors_are_two_clusters_from_the_first_pass_on() -> None:
    vectors, passes = unit(POINTS), []
    found = kmeans(vectors, Clustering(vectors[[0, 3]]), 300, passes.append)
    assert [state.labels.tolist() for state in passes] == [[0, 0, 0, 1, 1, 1]] * 2
    assert [round(state.distance, 6) for state in passes] == [0.020065, 0.007091]
    assert found.centroids.round(4).tolist() == [[0.9869, 0.1611], [0.1611, 0.9869]]
    cosines = similarities(vectors, found.centroids, found.labels)
    assert cosines.round(4).tolist() == [0.9869, 0.9992, 0.9926] * 2


# Sizes of the clusters, repeats, draws; then how often each cluster is drawn on average over many runs.
EXPECTED = [
    ((5, 1, 3), 2, 12, (5.27, 1.95, 4.78)),
    ((100, 10, 1), 5, 60, (27.5, 27.5, 5.0)),
    ((100, 10, 1), 1, 60, (49, 10, 1)),
    ((5, 1, 3), 2, 30, (10, 2, 6)),
]


@pytest.mark.parametrize(("sizes", "max_repeats", "n", "expected"), EXPECTED)
def test_clusters_are_drawn_alike_until_they_are_used_up(
    sizes: tuple[int, ...], max_repeats: int, n: int, expected: tuple[float, ...]
) -> None:
    labels = np.repeat(np.arange(3, dtype=np.int32), sizes)
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, len(labels), np.uint64)
    runs, counts = 1000, []
    for _ in range(runs):
        rows = np.empty(0, np.int64)
        for portion in sampled(labels, keys, max_repeats, rng, proportional=False):
            rows = np.append(rows, portion)[:n]
            if len(rows) == n:
                break
        counts.append(np.bincount(labels[rows], minlength=3))
    # Four standard errors.
    error = 4 * np.std(counts, axis=0) / math.sqrt(runs) + 0.005
    assert (np.abs(np.mean(counts, axis=0) - expected) <= error).all()


def test_the_command_says_the_same(tmp_path: Path) -> None:
    """With a start of two rows of one side, it finds the two sides."""
    rows = [{"id": f"d{i}", "vector": list(point)} for i, point in enumerate(POINTS)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    stage = ClusterClip(GivenVectors("vector"), clusters=2, max_repeats=2, n=30)
    counts = Run(stage, [str(source)], tmp_path / "out", Options()).execute().counts
    assert (counts.outputs, counts.produced, counts.tallies["shortfall"]) == (12, 6, 18)
    clusters = rows_of(tmp_path / "out" / "clusters")
    assert [(row["documents"], row["drawn"]) for row in clusters] == [(3, 6), (3, 6)]
    assert sorted(clusters, key=lambda row: row["nearest"])[0]["nearest"] == ["d1", "d2", "d0"]
    drawn = Dataset.open(tmp_path / "out").table.to_pylist()
    cosines = {row["id"]: row["similarity"] for row in drawn if row["repeat"] == 1}
    # Vectors are kept in 16 bits.
    expected = dict(zip(("d0", "d1", "d2"), (0.9869, 0.9992, 0.9926), strict=True))
    assert {name: cosines[name] for name in expected} == pytest.approx(expected, abs=1e-3)
