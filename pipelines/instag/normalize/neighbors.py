"""Exact similarity join: all pairs of points with a high enough cosine, without the matrix of all cosines.

A cheap upper bound of the cosine rules out most pairs, and the exact cosine is computed for the remaining candidates.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.counting import ranges_up_to
from synth.pipelines.instag.tagsets import Int64s

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DensePoints", "Pairs", "Points", "SparsePoints"]

Pairs = tuple[Int64s, Int64s]

# Tolerance for the rounding error of a bound.
SLACK = 1e-4
# Bounds use the principal directions with this share of the energy: for tags, 64 of a model's 384.
SHARE = 0.6
POINTS_AT_A_TIME, OTHERS_AT_A_TIME = 1024, 1 << 13
ROWS_AT_A_TIME = 1 << 14
PRODUCTS_AT_A_TIME = 1 << 22


class Points(Protocol):
    """Points that are compared by the cosine of their vectors."""

    def __len__(self) -> int: ...

    @property
    def zero_vectors(self) -> int:
        """The number of zero vectors, which are near no other."""

    def candidates(self, least: float) -> Iterator[Pairs]:
        """Distinct pairs (i, j) with i < j, in portions: all with a cosine of at least `least` (above 0), and more."""

    def cosines(self, one: Int64s, other: Int64s) -> NDArray[np.float64]:
        """The cosine of each pair in double precision; 0 for a zero vector."""

    def at(self, which: Int64s) -> Self:
        """The points at these indices."""


class DensePoints:
    """Rows of a matrix, which may be memory-mapped.

    After rotation to principal directions, x·y <= x1·y1 + |x2||y2|, where x1 and y1 are the leading components and x2
    and y2 the rest: a shorter inner product bounds the full one. This finds the same pairs as a FAISS range search over
    full vectors, in a third of the time.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def zero_vectors(self) -> int:
        return len(self) - sum(int(vectors.any(axis=1).sum()) for vectors in self._pieces())

    def at(self, which: Int64s) -> "DensePoints":
        return DensePoints(self._vectors[which])

    def candidates(self, least: float) -> Iterator[Pairs]:
        reduced = self._reduced()
        for start in range(0, len(reduced), POINTS_AT_A_TIME):
            points = reduced[start : start + POINTS_AT_A_TIME]
            for first in range(start, len(reduced), OTHERS_AT_A_TIME):
                bounds = reduced[first : first + OTHERS_AT_A_TIME] @ points.T
                later, earlier = np.divmod(np.flatnonzero(bounds.ravel() >= np.float32(least - SLACK)), len(points))
                one, other = start + earlier, first + later
                yield one[one < other], other[one < other]

    def cosines(self, one: Int64s, other: Int64s) -> NDArray[np.float64]:
        found = np.empty(len(one))
        for start in range(0, len(one), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            pair = _normalized(self._vectors[one[part]]), _normalized(self._vectors[other[part]])
            found[part] = np.einsum("ij,ij->i", *pair)
        return found

    def _reduced(self) -> NDArray[np.float32]:
        """For each point, its leading components and the length of the rest."""
        size = self._vectors.shape[1]
        moments = sum((vectors.T @ vectors for vectors in self._pieces()), np.zeros((size, size)))
        # In ascending order.
        energies, directions = np.linalg.eigh(moments)
        chosen = directions[:, np.cumsum(energies) >= (1 - SHARE) * energies.sum()]
        reduced = np.empty((len(self), chosen.shape[1] + 1), np.float32)
        for start, vectors in zip(range(0, len(self), ROWS_AT_A_TIME), self._pieces(), strict=True):
            leading = vectors @ chosen
            rest = np.einsum("ij,ij->i", vectors, vectors) - np.einsum("ij,ij->i", leading, leading)
            reduced[start : start + len(vectors)] = np.column_stack([leading, np.sqrt(np.maximum(rest, 0))])
        return reduced

    def _pieces(self) -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(self), ROWS_AT_A_TIME):
            yield _normalized(self._vectors[start : start + ROWS_AT_A_TIME])


class SparsePoints:
    """Rows of a sparse matrix, each of length 1 or 0.

    With columns ordered from rarest to most common, x·y <= x1·y1 + |x2||y2|, where x2 and y2 are the entries from some
    column on, such as frequent endings. The index omits each row's most common columns, as long as these together are
    shorter than the least cosine: rows without a common indexed column are not near.
    """

    def __init__(self, rows: "csr_array") -> None:
        from scipy.sparse import csr_array

        rarest_first = np.argsort(np.bincount(rows.indices, minlength=rows.shape[1]), kind="stable")
        self._rows = csr_array(rows[:, rarest_first])
        self._rows.sort_indices()

    def __len__(self) -> int:
        return int(self._rows.shape[0])

    @property
    def zero_vectors(self) -> int:
        return int(np.count_nonzero(np.diff(self._rows.indptr) == 0))

    def at(self, which: Int64s) -> "SparsePoints":
        return SparsePoints(self._rows[which])

    def candidates(self, least: float) -> Iterator[Pairs]:
        from scipy.sparse import coo_array, csr_array

        rows, size = self._rows, self._rows.shape[1]
        begins, ends = rows.indptr[:-1], rows.indptr[1:]
        row_of = np.repeat(np.arange(len(self)), np.diff(rows.indptr))
        squares = np.append(0, np.cumsum(rows.data**2))

        def rest(entries: Int64s, of: Int64s) -> NDArray[np.float64]:
            """The length of the rows `of` from these entries on."""
            return np.asarray(np.sqrt(np.maximum(squares[ends[of]] - squares[entries], 0)))

        kept = rest(np.arange(rows.nnz), row_of) >= least - SLACK
        borders = begins + np.bincount(row_of[kept], minlength=len(self))
        border_columns = np.where(borders < ends, np.append(rows.indices, 0)[borders], size)
        omitted = rest(borders, np.arange(len(self)))
        rare = csr_array((rows.data * kept, rows.indices, rows.indptr), rows.shape, copy=True)
        rare.eliminate_zeros()
        by_column = csr_array(rare.T)
        positions = row_of * size + rows.indices
        products = np.append(0, np.cumsum(np.diff(by_column.indptr)[rare.indices]))[rare.indptr]
        for start, stop in ranges_up_to(np.diff(products), PRODUCTS_AT_A_TIME):
            shared = coo_array(rare[start:stop] @ by_column)
            one, other = shared.coords[0].astype(np.int64) + start, shared.coords[1].astype(np.int64)
            later = one < other
            one, other, known = one[later], other[later], shared.data[later]
            # The product is known up to the earlier of the two borders.
            swapped = border_columns[one] > border_columns[other]
            earlier, further = np.where(swapped, other, one), np.where(swapped, one, other)
            entries = np.searchsorted(positions, further * size + border_columns[earlier])
            near = known + omitted[earlier] * rest(entries, further) >= least - SLACK
            yield one[near], other[near]

    def cosines(self, one: Int64s, other: Int64s) -> NDArray[np.float64]:
        found = np.empty(len(one))
        for start in range(0, len(one), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            found[part] = self._rows[one[part]].multiply(self._rows[other[part]]).sum(axis=1)
        return found


def _normalized(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    doubles = vectors.astype(np.float64)
    lengths = np.linalg.norm(doubles, axis=1, keepdims=True)
    doubles /= np.where(lengths > 0, lengths, 1)
    return doubles
