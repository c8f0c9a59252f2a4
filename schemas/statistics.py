"""What a dataset holds, in numbers.

Everything is counted batch by batch. What is kept of a column is how often each length or number occurs, and one
64-bit number for each different value up to a limit, so memory does not grow with the texts.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.columns import convert
from schemas.fingerprints import Fingerprints, fingerprints
from schemas.formats import Batch
from schemas.inference import columns_of
from schemas.inputs import Input
from schemas.record import Column

__all__ = ["BINS", "ColumnStatistics", "Spread", "Statistics", "statistics"]

# Different values of a column that are told apart, 8 bytes each; beyond that nobody wonders how many there are.
MOST_DISTINCT = 1 << 22
# A column of at most so many different texts, none of them longer, is one of categories.
CATEGORIES = 24
CATEGORY_CHARACTERS = 40
BINS = 24
# Values that are gathered before they are sorted into what is known.
GATHERED = 1 << 17


@dataclass(frozen=True)
class Spread:
    """How numbers are spread. Quantiles are values that occur: the least that so large a share does not exceed.

    Bin i counts the values from `edges[i]` up to `edges[i + 1]`, the last bin with its end.
    """

    minimum: float
    median: float
    ninth_decile: float
    maximum: float
    edges: list[float]
    bins: list[int]
    logarithmic: bool


@dataclass(frozen=True)
class ColumnStatistics:
    """One column. `distinct` counts different values other than null; None where that was not counted.

    `spread` is that of the numbers themselves, or of the lengths in `unit` (characters, items, bytes). `values` are the
    values and how often each occurs, the commonest first, where there are few. `not_finite` counts NaN and infinities,
    which have no part in the spread.
    """

    name: str
    type: str
    nulls: int
    distinct: int | None
    unit: str | None = None
    spread: Spread | None = None
    values: dict[str, int] | None = None
    not_finite: int = 0


@dataclass(frozen=True)
class Statistics:
    """An input as a whole: its rows, the files that hold them and the bytes of these, its columns in order."""

    rows: int
    files: int
    bytes: int
    columns: list[ColumnStatistics]


def statistics(source: Input) -> Statistics:
    """Read all rows of `source` once (JSON twice). Raises `InputError` for what cannot be read."""
    columns = columns_of(source)
    observers = [_Observer.of(column) for column in columns]
    rows = 0
    for batch in source.batches():
        rows += len(batch)
        for column, observer in zip(columns, observers, strict=True):
            observer.see(_values(batch, column))
    size = sum(file.stat().st_size for file in source.files)
    return Statistics(rows, len(source.files), size, [observer.statistics() for observer in observers])


def _values(batch: Batch, column: Column) -> pa.Array:
    if isinstance(batch.rows, list):
        return convert(column, [row.get(column.name) for row in batch.rows])
    if not batch.has(column.name):
        return pa.nulls(len(batch), column.type)
    values = batch.rows.column(column.name)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


class _Observer:
    """Sees the values of one column pass, and says at the end what they were."""

    unit: str | None = None

    def __init__(self, column: Column) -> None:
        self._column = column
        self._nulls = 0

    @classmethod
    def of(cls, column: Column) -> "_Observer":
        types, kind = pa.types, column.type
        if types.is_boolean(kind):
            return _Flags(column)
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return _Numbers(column)
        if types.is_string(kind):
            return _Texts(column)
        if types.is_binary(kind) or types.is_large_binary(kind):
            return _Blobs(column)
        if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            return _Lists(column)
        return cls(column)

    def see(self, values: pa.Array) -> None:
        self._nulls += values.null_count
        self._see(values.drop_null())

    def _see(self, values: pa.Array) -> None:
        pass

    def statistics(self) -> ColumnStatistics:
        return ColumnStatistics(self._column.name, str(self._column.type), self._nulls, **self._found())

    def _found(self) -> dict[str, Any]:
        return {"distinct": None}


class _Flags(_Observer):
    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._values: Counter[str] = Counter()

    def _see(self, values: pa.Array) -> None:
        self._values.update(_counted(values.cast(pa.string())))

    def _found(self) -> dict[str, Any]:
        return {"distinct": len(self._values), "values": dict(self._values.most_common())}


class _Numbers(_Observer):
    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._tally = _Tally()
        self._not_finite = 0

    def _see(self, values: pa.Array) -> None:
        numbers = (values.cast(pa.float64()) if pa.types.is_decimal(values.type) else values).to_numpy(False)
        finite = np.isfinite(numbers)
        self._not_finite += len(numbers) - int(finite.sum())
        self._tally.add(numbers[finite])

    def _found(self) -> dict[str, Any]:
        values, _ = self._tally.sorted()
        return {"distinct": len(values), "spread": self._tally.spread(), "not_finite": self._not_finite}


class _Lengths(_Observer):
    """A column of which the lengths are of interest."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._lengths = _Tally()

    def _see(self, values: pa.Array) -> None:
        self._lengths.add(self._measure(values).to_numpy(False))

    def _measure(self, values: pa.Array) -> pa.Array:
        raise NotImplementedError

    def _found(self) -> dict[str, Any]:
        return {"distinct": None, "unit": self.unit, "spread": self._lengths.spread()}


class _Texts(_Lengths):
    unit = "characters"

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._categories: Counter[str] | None = Counter()
        self._distinct = _Distinct()

    def _see(self, values: pa.Array) -> None:
        super()._see(values)
        self._distinct.add(values)
        if self._categories is not None:
            self._categories.update(_counted(values))
            if len(self._categories) > CATEGORIES or any(len(text) > CATEGORY_CHARACTERS for text in self._categories):
                self._categories = None

    def _measure(self, values: pa.Array) -> pa.Array:
        return pc.utf8_length(values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values)

    def _found(self) -> dict[str, Any]:
        seen = self._categories or Counter()
        # Values of which hardly any comes twice are no categories, however few there are.
        values = dict(seen.most_common()) if seen and 2 * len(seen) <= seen.total() else None
        return {**super()._found(), "distinct": self._distinct.count(), "values": values}


class _Blobs(_Lengths):
    unit = "bytes"

    def _measure(self, values: pa.Array) -> pa.Array:
        return pc.binary_length(values)


class _Lists(_Lengths):
    unit = "items"

    def _measure(self, values: pa.Array) -> pa.Array:
        return pc.list_value_length(values)


class _Distinct:
    """Counts different values by their fingerprints, until there are too many."""

    def __init__(self) -> None:
        self._known: Fingerprints | None = np.empty(0, np.uint64)
        self._gathered: list[Fingerprints] = []
        self._size = 0

    def add(self, values: pa.Array) -> None:
        if self._known is None:
            return
        self._gathered.append(fingerprints(values))
        self._size += len(values)
        # Sorting only when as much is new as is known keeps the whole at n log n.
        if self._size >= max(GATHERED, len(self._known)):
            self._merge()

    def _merge(self) -> None:
        if self._known is not None:
            # As `np.unique` does with counts; without them it hashes, which is five times slower here.
            known = np.sort(np.concatenate([self._known, *self._gathered]))
            self._known = known[np.diff(known, prepend=~known[:1]) != 0]
            self._gathered, self._size = [], 0
            if len(self._known) > MOST_DISTINCT:
                self._known = None

    def count(self) -> int | None:
        self._merge()
        return None if self._known is None else len(self._known)


class _Tally:
    """How often each number occurs."""

    def __init__(self) -> None:
        self._values: NDArray[Any] = np.empty(0, np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._gathered: list[NDArray[Any]] = []
        self._size = 0

    def add(self, numbers: NDArray[Any]) -> None:
        self._gathered.append(numbers)
        self._size += len(numbers)
        if self._size >= max(GATHERED, len(self._values)):
            self.sorted()

    def sorted(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The different numbers in order, and how often each was seen."""
        if self._size:
            new, counts = np.unique(np.concatenate(self._gathered), return_counts=True)
            values = np.concatenate([self._values, new]) if len(self._values) else new
            self._values, positions = np.unique(values, return_inverse=True)
            merged = np.zeros(len(self._values), np.int64)
            np.add.at(merged, positions, np.concatenate([self._counts, counts]))
            self._counts, self._gathered, self._size = merged, [], 0
        return self._values, self._counts

    def spread(self) -> Spread | None:
        """None where no number was seen."""
        values, counts = self.sorted()
        if not len(values):
            return None
        ends = np.cumsum(counts)
        median, ninth = (values[np.searchsorted(ends, -(-ends[-1] * tenths // 10))].item() for tenths in (5, 9))
        low, high = values[0].item(), values[-1].item()
        whole = isinstance(low, int) and max(-low, high) < 1 << 52
        # Where nearly all would lie in the first bins, and the scale can begin, each bin is wider than the one before.
        logarithmic = high - low > max(8 * (ninth - low), BINS if whole else 0) and low > (-1 if whole else 0)
        edges = _edges(low, high, whole=whole, logarithmic=logarithmic)
        positions = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
        bins = np.zeros(len(edges) - 1, np.int64)
        np.add.at(bins, positions, counts)
        return Spread(low, median, ninth, high, edges.tolist(), bins.tolist(), bool(logarithmic))


def _edges(low: float, high: float, *, whole: bool, logarithmic: bool) -> NDArray[Any]:
    """The ends of at most `BINS` bins from `low` to `high`, or to beyond it for whole numbers, whose ends are whole."""
    if low == high:
        return np.array([low, high])
    if not whole:
        return np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    if logarithmic:
        return np.unique(np.rint(np.geomspace(low + 1, high + 2, BINS + 1)).astype(np.int64)) - 1
    width = int(-(-(high + 1 - low) // BINS))
    return np.arange(low, high + 1 + width, width)


def _counted(values: pa.Array) -> Mapping[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(values).to_pylist()}
