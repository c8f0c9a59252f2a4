"""The sampler: clusters alike, documents alike, and no document too often."""

from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from synth.pipelines.clusterclip import sampling
from synth.pipelines.clusterclip.sampling import sampled

KEYS = np.random.default_rng(7).integers(0, 2**64, 10_000, np.uint64)


def draw(
    sizes: list[int], max_repeats: int | None, n: int, seed: int = 0, *, proportional: bool = False
) -> tuple[NDArray[np.int32], list[int]]:
    """The clusters of the rows, and the first `n` rows that are drawn."""
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    portions = sampled(labels, KEYS[: len(labels)], max_repeats, np.random.default_rng(seed), proportional=proportional)
    return labels, [*islice(chain.from_iterable(portion.tolist() for portion in portions), n)]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_no_document_is_drawn_too_often_and_all_are_in_the_end(
    sizes: list[int], max_repeats: int, seed: int, proportional: bool
) -> None:
    labels, rows = draw(sizes, max_repeats, 10**6, seed, proportional=proportional)
    assert np.bincount(rows, minlength=len(labels)).tolist() == [max_repeats] * len(labels)
    for cluster in range(len(sizes)):
        # In passes, each with every document once.
        passes = np.reshape([row for row in rows if labels[row] == cluster], (max_repeats, sizes[cluster]))
        assert (np.sort(passes, axis=1) == np.flatnonzero(labels == cluster)).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_portions_do_not_decide_where_a_pass_ends(first: int, most: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "FIRST_DRAWS", first)
        patch.setattr(sampling, "MOST_DRAWS", max(first, most))
        labels, rows = draw([3, 1, 7], 3, 33, seed)
    for cluster, size in enumerate((3, 1, 7)):
        of_cluster = [row for row in rows if labels[row] == cluster]
        assert len(of_cluster) == 3 * size
        assert all(len({*of_cluster[at : at + size]}) == size for at in range(0, 3 * size, size))


def test_clusters_are_drawn_with_equal_chances_while_none_is_used_up() -> None:
    sizes = [4000, 1500, 900, 300, 200]
    labels, rows = draw(sizes, 9, 5000)
    counts = np.bincount(labels[rows], minlength=5)
    assert (counts < 9 * np.array(sizes)).all()
    # Chi-square with 4 degrees of freedom is beyond 18.5 once in a thousand times, with 24 beyond 51.2.
    assert ((counts - 1000) ** 2 / 1000).sum() < 18.5
    # No cluster comes in blocks: the draws before have no part in the next one.
    following = np.zeros((5, 5))
    np.add.at(following, (labels[rows][:-1], labels[rows][1:]), 1)
    assert ((following - 200) ** 2 / 200).sum() < 51.2


def test_used_up_clusters_leave_their_chances_to_the_others() -> None:
    # Water filling: the small ones give all that they have, the others the same level.
    labels, rows = draw([1000, 1000, 50, 3], 2, 2106)
    counts = np.bincount(labels[rows])
    assert counts[2:].tolist() == [100, 6]
    assert counts[:2] == pytest.approx(1000, abs=4 * (2000 / 4) ** 0.5)


def test_the_first_of_a_pass_comes_after_the_last_of_the_pass_before() -> None:
    labels, rows = draw([50, 20, 7], 4, 300)
    for cluster in range(3):
        turns: dict[int, int] = {}
        passes = []
        for row in rows:
            if labels[row] == cluster:
                turns[row] = turns.get(row, 0) + 1
                passes.append(turns[row])
        assert passes == sorted(passes)


def test_every_pass_has_an_order_of_its_own_which_follows_from_the_keys() -> None:
    labels, rows = draw([30, 1], 3, 93)
    passes = np.reshape([row for row in rows if labels[row] == 0], (3, 30)).tolist()
    assert passes[0] != passes[1] != passes[2] != passes[0]
    # Other draws of clusters change nothing about the order in a cluster.
    _, others = draw([30, 1], 3, 93, seed=5)
    assert [row for row in others if row < 30] == [row for row in rows if row < 30]
    assert others != rows


def test_proportional_draws_are_the_baseline() -> None:
    labels, rows = draw([900, 90, 10], 50, 10_000, proportional=True)
    counts = np.bincount(labels[rows])
    assert counts == pytest.approx([9000, 900, 100], abs=130)


def test_without_a_limit_nothing_leaves() -> None:
    labels, rows = draw([5, 1, 3], None, 3000)
    assert np.bincount(labels[rows]) == pytest.approx(1000, abs=110)
    assert np.bincount(rows)[5] > 800


def test_one_seed_is_one_order() -> None:
    assert draw([5, 8, 3], 3, 40, seed=1)[1] == draw([5, 8, 3], 3, 40, seed=1)[1]
    assert draw([5, 8, 3], 3, 40, seed=1)[1] != draw([5, 8, 3], 3, 40, seed=2)[1]
