"""The nearest neighbours of each document, without those that say nearly the same (arXiv 2310.10638, section 2.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.schemas.atomic import atomic

__all__ = ["Int64s", "Neighbors", "Search", "Twins", "all_neighbors", "without_twins"]

Int64s = NDArray[np.int64]
# By document: an earlier one that says nearly the same, and their cosine.
Twins = dict[int, tuple[int, float]]

DOCUMENTS_AT_A_TIME = 1 << 14


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of each document, nearest first, and their cosines: both of shape (documents, k).

    A document with fewer than k has -1 in place of the others.
    """

    documents: Int64s
    cosines: NDArray[np.float32]


# The neighbours of some documents, up to so many of each.
Search = Callable[[Int64s, int], Neighbors]


def all_neighbors(search: Search, documents: int, k: int, folder: Path, progress: Callable[[int], None]) -> Neighbors:
    """Up to `k` neighbours of every document. What is found is saved in `folder`, and not searched for again."""
    folder.mkdir(exist_ok=True)
    found = []
    for start in range(0, documents, DOCUMENTS_AT_A_TIME):
        path = folder / f"{start:09d}.npz"
        stop = min(start + DOCUMENTS_AT_A_TIME, documents)
        if not path.exists():
            part = search(np.arange(start, stop), k)
            with atomic(path) as temporary, temporary.open("wb") as file:
                np.savez(file, documents=part.documents.astype(np.int32), cosines=part.cosines)
        with np.load(path) as saved:
            found.append((saved["documents"].astype(np.int64), saved["cosines"]))
        progress(stop)
    return Neighbors(*map(np.concatenate, zip(*found, strict=True)))


def without_twins(neighbors: Neighbors, search: Search, least: float) -> tuple[Neighbors, Twins]:
    """Leave out each document that has a cosine of `least` or more with an earlier one that stays.

    Where neighbours have left, more are searched for, until each document that stays has as many as before among those
    that stay. What is found then may be near enough to be left out, too.
    """
    count, k = neighbors.documents.shape
    pairs = [_near_pairs(np.arange(count), neighbors, least)]
    wider: dict[int, tuple[Int64s, NDArray[np.float32]]] = {}
    most = k
    while True:
        twins = _twins(np.concatenate(pairs))
        stays = np.ones(count, bool)
        stays[[*twins]] = False
        found = _among(neighbors, stays)
        for document in filter(stays.__getitem__, wider):
            others, cosines = wider[document]
            is_in = (others >= 0) & stays[others]
            size = min(k, np.count_nonzero(is_in))
            found.documents[document, :size] = others[is_in][:k]
            found.cosines[document, :size] = cosines[is_in][:k]
        lacks = stays & (found.documents[:, -1] < 0) & (neighbors.documents[:, -1] >= 0)
        lacking = [one for one in np.flatnonzero(lacks).tolist() if one not in wider or wider[one][0][-1] >= 0]
        if not lacking:
            return found, twins
        most *= 4
        more = search(np.array(lacking), most)
        wider |= zip(lacking, zip(more.documents, more.cosines, strict=True), strict=True)
        pairs.append(_near_pairs(np.array(lacking), more, least))


def _among(neighbors: Neighbors, stays: NDArray[np.bool_]) -> Neighbors:
    """The neighbours, of documents that stay, that stay."""
    is_in = (neighbors.documents >= 0) & stays[neighbors.documents] & stays[:, None]
    order = np.argsort(~is_in, axis=1, kind="stable")
    documents = np.where(is_in, neighbors.documents, -1)
    return Neighbors(np.take_along_axis(documents, order, 1), np.take_along_axis(neighbors.cosines, order, 1))


def _near_pairs(documents: Int64s, neighbors: Neighbors, least: float) -> NDArray[np.float64]:
    """The later and the earlier document of each pair that is near enough, and their cosine: shape (pairs, 3)."""
    rows, places = np.nonzero((neighbors.documents >= 0) & (neighbors.cosines >= least))
    ends = np.stack([documents[rows], neighbors.documents[rows, places]], axis=1)
    return np.column_stack([ends.max(axis=1), ends.min(axis=1), neighbors.cosines[rows, places]])


def _twins(pairs: NDArray[np.float64]) -> Twins:
    """The later documents of pairs whose earlier one stays. Each is the twin of the first such one."""
    twins: Twins = {}
    for later, earlier, cosine in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        if later not in twins and earlier not in twins:
            twins[int(later)] = (int(earlier), cosine)
    return twins
