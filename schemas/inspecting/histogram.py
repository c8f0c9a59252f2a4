"""Distributions of numbers: exact counts, and their quantiles and histograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "GATHERED", "Spread", "Tally", "joint_spreads"]

BINS = 24
# Values gathered before they are merged into the sorted ones.
GATHERED = 1 << 17


@dataclass(frozen=True)
class Spread:
    """A distribution of numbers. Quantiles are values that occur, without interpolation.

    Bin i counts the values in [`edges[i]`, `edges[i + 1]`); the last bin includes its end.
    """

    minimum: float
    median: float
    ninth_decile: float
    maximum: float
    edges: list[float]
    bins: list[int]
    logarithmic: bool


class Tally:
    """How often each number occurs."""

    def __init__(self) -> None:
        self._values: NDArray[Any] = np.empty(0, np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._gathered: list[NDArray[Any]] = []
        self._size = 0
        # The last number, as long as all rise.
        self._last: Any = -np.inf

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> "Tally":
        """From the counts of each number."""
        tally = cls()
        numbers = sorted(counts)
        tally._merge(np.array(numbers, np.int64), np.array([counts[number] for number in numbers], np.int64))
        return tally

    def add(self, numbers: NDArray[Any]) -> None:
        if not len(numbers):
            return
        self._gathered.append(numbers)
        self._size += len(numbers)
        if self._last is not None:
            # Such as times, or the numbers of rows: to be merged only once.
            self._last = numbers[-1] if numbers[0] > self._last and _rise(numbers) else None
        if self._last is None and self._size >= max(GATHERED, len(self._values)):
            self.sorted()

    def include(self, other: "Tally") -> None:
        """Add the numbers of `other`."""
        self.sorted()
        self._merge(*other.sorted())

    def sorted(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The distinct numbers in order, and how often each occurs."""
        if self._size:
            gathered = np.concatenate(self._gathered)
            self._gathered, self._size = [], 0
            self._merge(*_counted(gathered))
        return self._values, self._counts

    def _merge(self, new: NDArray[Any], counts: NDArray[np.int64]) -> None:
        """Add distinct numbers in order, and how often each occurs."""
        if not len(self._values):
            self._values, self._counts = new, counts
            return
        values = self._values.astype(np.result_type(self._values, new), copy=False)
        places = np.searchsorted(values, new)
        known = values[np.minimum(places, len(values) - 1)] == new
        # Not in place: another tally may have the same array.
        before = self._counts.copy()
        before[places[known]] += counts[known]
        # The places of the other new numbers among all of them.
        places = places[~known] + np.arange(np.count_nonzero(~known))
        is_old = np.ones(len(values) + len(places), np.bool_)
        is_old[places] = False
        self._values = np.empty(len(is_old), values.dtype)
        self._counts = np.empty(len(is_old), np.int64)
        self._values[is_old], self._values[places] = values, new[~known]
        self._counts[is_old], self._counts[places] = before, counts[~known]

    def spread(self, like: Spread | None = None) -> Spread | None:
        """None if there are no numbers. The bins are those of `like`, if given, which must cover all numbers."""
        values, counts = self.sorted()
        if not len(values):
            return None
        ends = np.cumsum(counts)
        median, ninth = (values[np.searchsorted(ends, -(-ends[-1] * tenths // 10))].item() for tenths in (5, 9))
        low, high = values[0].item(), values[-1].item()
        whole = isinstance(low, int) and max(-low, high) < 1 << 52
        if like:
            edges, logarithmic = np.array(like.edges), like.logarithmic
        else:
            # Logarithmic if linear bins would put nearly all numbers into the first ones, and the sign allows it.
            logarithmic = high - low > max(8 * (ninth - low), BINS if whole else 0) and low > (-1 if whole else 0)
            edges = _edges(low, high, whole=whole, logarithmic=logarithmic)
        # How many numbers are below each inner edge.
        places = np.searchsorted(values, edges[1:-1])
        below = np.where(places > 0, ends[places - 1], 0)
        bins = np.diff(below, prepend=0, append=ends[-1])
        return Spread(low, median, ninth, high, edges.tolist(), bins.tolist(), bool(logarithmic))


def _rise(numbers: NDArray[Any]) -> bool:
    return bool(np.all(numbers[1:] > numbers[:-1]))


def _counted(numbers: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct numbers in order, and how often each occurs."""
    if _rise(numbers):
        return numbers, np.broadcast_to(np.int64(1), len(numbers))
    if numbers.dtype.kind == "i":
        low, high = int(numbers.min()), int(numbers.max())
        # If the numbers are close to each other, counting takes a tenth of the time of sorting.
        if high - low < 2 * len(numbers):
            times = np.bincount(numbers.astype(np.int64) - low)
            distinct = np.flatnonzero(times)
            return (distinct + low).astype(numbers.dtype), times[distinct]
    return np.unique(numbers, return_counts=True)


def _edges(low: float, high: float, *, whole: bool, logarithmic: bool) -> NDArray[Any]:
    """The edges of at most `BINS` bins from `low` to `high`; for integers they are integers and end beyond `high`."""
    if low == high:
        return np.array([low, high])
    if not whole:
        return np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    if logarithmic:
        return np.unique(np.rint(np.geomspace(low + 1, high + 2, BINS + 1)).astype(np.int64)) - 1
    width = int(-(-(high + 1 - low) // BINS))
    return np.arange(low, high + 1 + width, width)


def joint_spreads(tallies: Sequence[Tally]) -> list[Spread]:
    """The spread of each tally, with common edges. Each tally must have at least one number."""
    union = Tally()
    for tally in tallies:
        union.include(tally)
    whole = union.spread()
    return [spread for tally in tallies if (spread := tally.spread(whole))]
