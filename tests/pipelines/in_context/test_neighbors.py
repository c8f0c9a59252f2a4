"""Documents that say nearly the same: which of them stay, and that those that stay have their neighbours."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.in_context import neighbors as module
from synth.pipelines.in_context.neighbors import Int64s, Neighbors, all_neighbors, without_twins
from synth.pipelines.in_context.traversal import traversed

Cosines = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Exhaustive:
    """Finds the neighbours of documents by comparing all; remembers how many were searched for."""

    def __init__(self, vectors: Cosines) -> None:
        self.cosines = (vectors @ vectors.T).astype(np.float32)
        self.searched: list[int] = []

    def __call__(self, documents: Int64s, most: int) -> Neighbors:
        self.searched.append(len(documents))
        others = self.cosines[documents].copy()
        others[np.arange(len(documents)), documents] = -np.inf
        order = np.argsort(-others, axis=1, kind="stable")[:, :most]
        found = np.full((len(documents), most), -1)
        cosines = np.full((len(documents), most), -np.inf, np.float32)
        found[:, : order.shape[1]] = order
        cosines[:, : order.shape[1]] = np.take_along_axis(others, order, 1)
        found[np.isinf(cosines)] = -1
        return Neighbors(found, cosines)


def angles(*degrees: float) -> Exhaustive:
    radians = np.radians(degrees)
    return Exhaustive(np.stack([np.cos(radians), np.sin(radians)], axis=1))


def kept(search: Exhaustive, k: int, least: float) -> tuple[Neighbors, dict[int, int]]:
    count = len(search.cosines)
    found, twins = without_twins(search(np.arange(count), k), search, least)
    return found, {later: earlier for later, (earlier, _) in twins.items()}


def test_the_later_one_leaves_and_is_only_compared_with_those_that_stay() -> None:
    # Up to 10 degrees apart is near: 8 and 20 leave for 0 and 14, and 25 is only near to 20, which has left.
    _, twins = kept(angles(0, 8, 14, 20, 25), 2, np.cos(np.radians(10)))
    assert twins == {1: 0, 3: 2}


def test_those_that_stay_get_other_neighbours_for_those_that_leave() -> None:
    search = angles(0, 1, 2, 3, 4, 30, 60, 90, 120, 180)
    found, twins = kept(search, 2, np.cos(np.radians(5)))
    assert twins == dict.fromkeys((1, 2, 3, 4), 0)
    assert found.documents[[0, 5, 6, 7, 8, 9]].tolist() == [[5, 6], [0, 6], [5, 7], [6, 8], [7, 6], [8, 7]]
    assert (found.documents[1:5] == -1).all()
    # Only those whose neighbours had left were searched for again: 0, 5, and 3, of which 0 was not known to be near.
    assert search.searched == [10, 3]


def test_a_crowd_of_equal_texts_leaves_one() -> None:
    search = angles(*[0] * 200, 50, 100)
    found, twins = kept(search, 3, 0.95)
    assert twins == dict.fromkeys(range(1, 200), 0)
    assert found.documents[[0, 200, 201]].tolist() == [[200, 201, -1], [0, 201, -1], [200, 0, -1]]


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.integers(1, 6),
    st.sampled_from([0.9, 0.99, 0.9999]),
)
def test_nobody_who_stays_has_a_twin_who_stays_and_all_who_leave_have_one(
    places: list[int], k: int, least: float
) -> None:
    search = angles(*(9.0 * place for place in places))
    found, twins = kept(search, k, least)
    stays = [at for at in range(len(places)) if at not in twins]
    for at in stays:
        assert all(search.cosines[at, other] < least for other in stays if other != at)
        others = sorted(
            (other for other in stays if other != at), key=lambda other: (-search.cosines[at, other], other)
        )
        near = [other for other in found.documents[at].tolist() if other >= 0]
        assert near == others[:k]
    for later, earlier in twins.items():
        assert earlier < later
        assert earlier in stays
        assert search.cosines[later, earlier] >= least


def test_what_was_found_is_not_searched_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOCUMENTS_AT_A_TIME", 4)
    search = angles(*range(0, 180, 10))
    seen: list[int] = []
    whole = all_neighbors(search, 18, 3, tmp_path / "found", seen.append)
    assert (search.searched, seen) == ([4, 4, 4, 4, 2], [4, 8, 12, 16, 18])
    (tmp_path / "found" / "000000008.npz").unlink()
    again = all_neighbors(search, 18, 3, tmp_path / "found", seen.append)
    assert search.searched == [4, 4, 4, 4, 2, 4]
    assert (again.documents.tolist(), again.cosines.tolist()) == (whole.documents.tolist(), whole.cosines.tolist())


def test_so_many_documents_that_pairs_of_them_do_not_fit_into_32_bits(tmp_path: Path) -> None:
    count = 50_000

    def in_a_ring(documents: Int64s, most: int) -> Neighbors:
        beside = np.stack([documents - 1, documents + 1], axis=1)[:, :most] % count
        return Neighbors(beside, np.ones(beside.shape, np.float32))

    found = all_neighbors(in_a_ring, count, 2, tmp_path / "found", lambda _: None)
    assert traversed(found) == [list(range(count))]
