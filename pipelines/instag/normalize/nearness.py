"""All pairs of many points whose cosine is high enough: candidates that cannot be ruled out cheaply, then each exactly.

A candidate costs its whole vectors, so few should remain, but none may be missed: what rules a pair out is an upper
bound of its cosine. So the pairs are those that a matrix of all cosines would give, which there is never.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.counting import stretches

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DenseTags", "Pairs", "Points", "Sparse"]

Numbers = NDArray[np.int64]
Pairs = tuple[Numbers, Numbers]

# By so much a bound may come out too low.
SLACK = 1e-4
# Pairs are compared first in so many directions as hold this share of all vectors: 64 of 384 of a model's for tags.
SHARE = 0.6
POINTS_AT_A_TIME, OTHERS_AT_A_TIME = 1024, 1 << 13
ROWS_AT_A_TIME = 1 << 14
PRODUCTS_AT_A_TIME = 1 << 22


class Points(Protocol):
    """Points that are compared by the cosine of their vectors."""

    def __len__(self) -> int: ...

    @property
    def without_length(self) -> int:
        """How many have no direction, and so are near to none."""

    def candidates(self, least: float) -> Iterator[Pairs]:
        """Pairs (i, j) with i < j, each once, in portions: those whose cosine is `least` or more, and others.

        `least` is above 0.
        """

    def cosines(self, one: Numbers, other: Numbers) -> NDArray[np.float64]:
        """The cosine of each pair, in 64 bits; 0 of a vector without length."""

    def at(self, which: Numbers) -> Self:
        """Some of the points."""


class DenseTags:
    """Rows of a matrix, which may be memory-mapped.

    With the vectors turned so that their first directions hold most of them, x·y <= x1·y1 + |x2||y2|, where x1 and y1
    are these first directions and x2 and y2 the rest: an inner product of some of the numbers in the place of all. It
    gives the pairs of a FAISS range search over all of the numbers, in a third of the time.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def without_length(self) -> int:
        return len(self) - sum(int(vectors.any(axis=1).sum()) for vectors in self._pieces())

    def at(self, which: Numbers) -> "DenseTags":
        return DenseTags(self._vectors[which])

    def candidates(self, least: float) -> Iterator[Pairs]:
        narrow = self._narrow()
        for start in range(0, len(narrow), POINTS_AT_A_TIME):
            some = narrow[start : start + POINTS_AT_A_TIME]
            for first in range(start, len(narrow), OTHERS_AT_A_TIME):
                bounds = narrow[first : first + OTHERS_AT_A_TIME] @ some.T
                later, earlier = np.divmod(np.flatnonzero(bounds.ravel() >= np.float32(least - SLACK)), len(some))
                one, other = start + earlier, first + later
                yield one[one < other], other[one < other]

    def cosines(self, one: Numbers, other: Numbers) -> NDArray[np.float64]:
        found = np.empty(len(one))
        for start in range(0, len(one), ROWS_AT_A_TIME):
            here = slice(start, start + ROWS_AT_A_TIME)
            pair = _of_length_one(self._vectors[one[here]]), _of_length_one(self._vectors[other[here]])
            found[here] = np.einsum("ij,ij->i", *pair)
        return found

    def _narrow(self) -> NDArray[np.float32]:
        """For each point its first directions and the length of the rest."""
        size = self._vectors.shape[1]
        moments = np.zeros((size, size))
        for vectors in self._pieces():
            moments += vectors.T @ vectors
        # From the least to the most.
        shares, directions = np.linalg.eigh(moments)
        chosen = directions[:, np.cumsum(shares) >= (1 - SHARE) * shares.sum()]
        narrow = np.empty((len(self), chosen.shape[1] + 1), np.float32)
        start = 0
        for vectors in self._pieces():
            first = vectors @ chosen
            rest = np.einsum("ij,ij->i", vectors, vectors) - np.einsum("ij,ij->i", first, first)
            narrow[start : start + len(vectors)] = np.column_stack([first, np.sqrt(np.maximum(rest, 0))])
            start += len(vectors)
        return narrow

    def _pieces(self) -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(self), ROWS_AT_A_TIME):
            yield _of_length_one(self._vectors[start : start + ROWS_AT_A_TIME])


class Sparse:
    """Rows of a sparse matrix, each of length 1 or 0.

    With columns from the rarest to the commonest, x·y <= x1·y1 + |x2||y2|, where x2 and y2 are what the rows have from
    some column on, such as frequent endings. Each row leaves out as many of its commonest columns as are together
    shorter than the cosine asked for: two rows that share none of those that are left are not near.
    """

    def __init__(self, rows: "csr_array") -> None:
        from scipy.sparse import csr_array

        rarest_first = np.argsort(np.bincount(rows.indices, minlength=rows.shape[1]), kind="stable")
        self._rows = csr_array(rows[:, rarest_first])
        self._rows.sort_indices()

    def __len__(self) -> int:
        return int(self._rows.shape[0])

    @property
    def without_length(self) -> int:
        return int(np.count_nonzero(np.diff(self._rows.indptr) == 0))

    def at(self, which: Numbers) -> "Sparse":
        return Sparse(self._rows[which])

    def candidates(self, least: float) -> Iterator[Pairs]:
        from scipy.sparse import coo_array, csr_array

        rows, size = self._rows, self._rows.shape[1]
        begins, ends = rows.indptr[:-1], rows.indptr[1:]
        row_of = np.repeat(np.arange(len(self)), np.diff(rows.indptr))
        squares = np.append(0, np.cumsum(rows.data**2))

        def rest(entries: Numbers, of: Numbers) -> NDArray[np.float64]:
            """The length of what rows have from these entries on."""
            lengths: NDArray[np.float64] = np.sqrt(np.maximum(squares[ends[of]] - squares[entries], 0))
            return lengths

        kept = rest(np.arange(rows.nnz), row_of) >= least - SLACK
        borders = begins + np.bincount(row_of[kept], minlength=len(self))
        border_columns = np.where(borders < ends, np.append(rows.indices, 0)[borders], size)
        left_out = rest(borders, np.arange(len(self)))
        rare = csr_array((rows.data * kept, rows.indices, rows.indptr), rows.shape, copy=True)
        rare.eliminate_zeros()
        by_column = csr_array(rare.T)
        places = row_of * size + rows.indices
        products = np.append(0, np.cumsum(np.diff(by_column.indptr)[rare.indices]))[rare.indptr]
        for start, stop in stretches(np.diff(products), PRODUCTS_AT_A_TIME):
            shared = coo_array(rare[start:stop] @ by_column)
            one, other = shared.coords[0].astype(np.int64) + start, shared.coords[1].astype(np.int64)
            later = one < other
            one, other, known = one[later], other[later], shared.data[later]
            # Up to the earlier of two borders all that they share is known.
            swapped = border_columns[one] > border_columns[other]
            earlier, further = np.where(swapped, other, one), np.where(swapped, one, other)
            entries = np.searchsorted(places, further * size + border_columns[earlier])
            near = known + left_out[earlier] * rest(entries, further) >= least - SLACK
            yield one[near], other[near]

    def cosines(self, one: Numbers, other: Numbers) -> NDArray[np.float64]:
        found = np.empty(len(one))
        for start in range(0, len(one), ROWS_AT_A_TIME):
            here = slice(start, start + ROWS_AT_A_TIME)
            found[here] = self._rows[one[here]].multiply(self._rows[other[here]]).sum(axis=1)
        return found


def _of_length_one(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    wide /= np.where(lengths > 0, lengths, 1)
    return wide
