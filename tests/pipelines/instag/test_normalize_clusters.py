"""Clusters by meaning or by spelling are those of scikit-learn's DBSCAN, which compares all with all."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from sklearn.cluster import DBSCAN
from sklearn.feature_extraction.text import TfidfVectorizer

from synth.pipelines.instag.normalize import neighbors, semantics
from synth.pipelines.instag.normalize.neighbors import DensePoints, SparsePoints
from synth.pipelines.instag.normalize.semantics import clusters

Vectors = NDArray[np.float32]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred points have borders between portions."""
    for name, size in (("POINTS_AT_A_TIME", 32), ("OTHERS_AT_A_TIME", 100), ("PRODUCTS_AT_A_TIME", 2_000)):
        monkeypatch.setattr(neighbors, name, size)
    monkeypatch.setattr(semantics, "PAIRS_AT_A_TIME", 50)


def by_scikit_learn(points: NDArray[np.float64], eps: float) -> list[int]:
    return DBSCAN(eps=eps, min_samples=1, metric="cosine").fit(points).labels_.tolist()  # type: ignore[no-any-return]


def ours(points: Vectors, eps: float) -> list[int]:
    return numbered(clusters(DensePoints(points), eps).tolist())


def numbered(labels: Sequence[int]) -> list[int]:
    """Labels in the order in which they are met, as DBSCAN gives them."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


def assert_equal(points: Vectors, eps: float, least: int = 1, most: int = 1 << 30) -> None:
    found = ours(points, eps)
    assert found == by_scikit_learn(points.astype(np.float64), eps)
    assert least <= len(set(found)) <= most


def around_topics(count: int, dimensions: int, noise: float, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((count // 8, dimensions))
    points = topics[rng.integers(0, len(topics), count)] + noise * rng.standard_normal((count, dimensions))
    return points.astype(np.float32)


@pytest.mark.parametrize("eps", [0.01, 0.05, 0.2, 0.6])
@pytest.mark.parametrize(("dimensions", "noise"), [(2, 0.3), (40, 0.2), (200, 0.22), (384, 0.3)])
def test_random_points(dimensions: int, noise: float, eps: float) -> None:
    assert_equal(around_topics(300, dimensions, noise, dimensions), eps)


def test_random_points_fall_into_many_clusters_of_many() -> None:
    assert_equal(around_topics(300, 200, 0.22, 0), 0.05, 40, 200)


def test_points_that_all_lie_in_other_directions() -> None:
    # No few directions hold most of them, so that little can be ruled out beforehand.
    rng = np.random.default_rng(5)
    assert_equal(rng.standard_normal((300, 384)).astype(np.float32), 0.05, 300)
    assert_equal(np.eye(150, dtype=np.float32), 0.05, 150)
    assert_equal(np.concatenate([np.eye(150, dtype=np.float32)] * 2), 0.05, 150, 150)


def test_duplicates_are_one() -> None:
    points = around_topics(40, 100, 1.0, 1)
    assert_equal(np.concatenate([points, points, 3 * points[:5]]), 0.05, 40, 40)
    assert_equal(np.repeat(points[:1], 300, axis=0), 0.05, 1, 1)


def test_opposite_and_absent_directions_are_not_near() -> None:
    point = np.arange(1, 101, dtype=np.float32)
    assert_equal(np.array([point, -point, 0 * point, 0 * point]), 0.05, 4)


def test_a_pair_at_exactly_eps_is_near_and_one_beyond_it_is_not() -> None:
    # Cosines of 0.5 without an error of rounding.
    halves = np.zeros((2, 100), np.float32)
    halves[:, :4] = [[1, 1, 1, 1], [1, 1, 1, -1]]
    assert_equal(halves, 0.5, 1, 1)
    assert_equal(halves, float(np.nextafter(0.5, 0)), 2, 2)
    three_four_five = np.array([[1, 0], [3, 4]], np.float32)
    assert_equal(three_four_five, 1 - 0.6, 1, 1)
    assert_equal(three_four_five, float(np.nextafter(1 - 0.6, 0)), 2, 2)


def test_pairs_next_to_eps() -> None:
    # Pairs at distances of eps, give or take a millionth, which 32 bits can just tell.
    for step in (-1e-6, 1e-6):
        angle = np.arccos(1 - (0.05 + step))
        points = np.zeros((200, 400))
        for pair in range(100):
            points[2 * pair, 2 * pair] = 1
            points[2 * pair + 1, 2 * pair : 2 * pair + 2] = np.cos(angle), np.sin(angle)
        assert_equal(points.astype(np.float32), 0.05, 100 if step < 0 else 200, 100 if step < 0 else 200)


def test_a_chain_is_one_cluster_however_long() -> None:
    # Neighbours on a circle, each at 0.04 to the next one, in an order that tells nothing.
    angles = np.arange(150) * np.arccos(0.96) / 25
    points = np.zeros((150, 100), np.float32)
    points[:, 0], points[:, 1] = np.cos(angles), np.sin(angles)
    mixed = points[np.random.default_rng(2).permutation(150)]
    assert_equal(mixed, 0.05, 1, 1)
    every_25th = np.concatenate([points[::25], np.roll(points[::25], 5, axis=1)])
    assert_equal(every_25th, 0.05, 2, 2)
    assert_equal(np.delete(every_25th, 3, axis=0), 0.05, 3, 3)


def test_one_point_and_none() -> None:
    assert ours(np.ones((1, 5), np.float32), 0.05) == [0]
    assert ours(np.ones((0, 5), np.float32), 0.05) == []


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 120), st.sampled_from([2, 5, 70, 130]), st.floats(0.001, 0.9))
def test_any_points(seed: int, count: int, dimensions: int, eps: float) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((count, dimensions)) * rng.uniform(0.02, 0.6)
    # Each point next to an earlier one: chains and heaps.
    points = np.empty((count, dimensions))
    for number in range(count):
        points[number] = steps[number] + (points[rng.integers(number)] if number else 1)
    assert_equal(points.astype(np.float32), eps)


@pytest.mark.parametrize("eps", [0.05, 0.11, 0.3, 0.7, 0.99])
def test_points_with_few_of_many_coordinates(eps: float) -> None:
    rng = np.random.default_rng(3)
    stems = ["".join(rng.choice(list("abcdeirstn"), rng.integers(2, 9))) for _ in range(60)]
    words = [f"{rng.choice(stems)} {rng.choice(stems)}{rng.choice(['', 's', 'ing'])}" for _ in range(300)]
    rows = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), use_idf=False).fit_transform([*words, *words[:20]])
    rows = vstack([rows, csr_array((1, rows.shape[1]))]).tocsr()
    found = numbered(clusters(SparsePoints(csr_array(rows)), eps).tolist())
    assert found == by_scikit_learn(rows.toarray(), eps)
    assert len(set(found)) > 1
