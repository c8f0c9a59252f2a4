"""Reciprocal rank fusion, worked by hand."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from synth.pipelines.retrieval.fusion import Fusion, fused
from synth.pipelines.retrieval.searcher import Hits


def ranking(*ords: int) -> Hits:
    """The scores say the opposite of the ranks: they have no part."""
    return Hits(np.array(ords, np.int64), np.arange(len(ords), dtype=np.float32))


@pytest.mark.parametrize(
    ("rankings", "expected"),
    [
        ([ranking(3, 1, 2), ranking(1, 4)], {1: 1 / 62 + 1 / 61, 3: 1 / 61, 4: 1 / 62, 2: 1 / 63}),
        ([ranking(7, 0), ranking(0, 7)], {0: 1 / 61 + 1 / 62, 7: 1 / 61 + 1 / 62}),
        ([ranking(9), ranking(2)], {2: 1 / 61, 9: 1 / 61}),
        ([ranking(), ranking(5, 4)], {5: 1 / 61, 4: 1 / 62}),
        ([ranking(6, 5, 4), ranking(1, 2, 4), ranking(8, 3, 4)], {4: 3 / 63, 1: 1 / 61, 6: 1 / 61, 8: 1 / 61}),
        ([ranking(), ranking()], {}),
    ],
    ids=["two lists", "turned about", "nothing in common", "one empty", "three lists", "both empty"],
)
def test_scores_are_sums_of_reciprocal_ranks_and_equal_ones_in_the_order_of_the_index(
    rankings: list[Hits], expected: dict[int, float]
) -> None:
    hits = fused(rankings, 4)
    assert hits.ords.tolist() == list(expected)
    assert hits.scores.tolist() == pytest.approx(list(expected.values()))


class Ranked:
    """An engine that ranks the same documents for every query."""

    def __init__(self, *ords: int) -> None:
        self._ords = ords

    def search(self, queries: Sequence[str], k: int) -> Iterator[Hits]:
        return (ranking(*self._ords[:k]) for _ in queries)


def test_a_document_below_the_cut_of_both_can_be_the_best_of_all() -> None:
    engines = [Ranked(1, 2, 3, 9), Ranked(4, 5, 6, 9)]
    (first, second) = Fusion(engines).search(["a", "b"], 2)
    assert first.ords.tolist() == second.ords.tolist() == [9, 1]
