"""Statistics of a dataset and its columns.

Batches are counted one after the other, several columns at once. A column keeps the count of each length or number, and
a 64-bit fingerprint of each distinct value up to a limit, so memory does not grow with the texts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.schemas import words
from synth.schemas.fingerprints import Fingerprints, fingerprints
from synth.schemas.inspecting.histogram import GATHERED, Spread, Tally
from synth.schemas.reading.columns import column_values
from synth.schemas.reading.formats import Batch
from synth.schemas.reading.inference import columns_of
from synth.schemas.reading.inputs import Input
from synth.schemas.record import Column
from synth.schemas.storable import is_list, stored
from synth.schemas.threads import THREADS

__all__ = ["ColumnStatistics", "Statistics", "Survey", "statistics", "survey"]

# Distinct values are not counted beyond this limit (8 bytes each). It is a little less than 2^22: where all values are
# distinct each merge doubles what is known, and after that of 2^22 no more need be hashed.
MOST_DISTINCT = 4_000_000
# A text column is categorical if it has at most so many distinct values, none of them longer.
CATEGORIES = 24
CATEGORY_CHARACTERS = 40
# How much is counted at once.
ROWS_AT_ONCE = 1 << 14
BYTES_AT_ONCE = 16 << 20


@dataclass(frozen=True)
class ColumnStatistics:
    """One column. `distinct` counts distinct values other than null; None if they were not counted.

    `spread` describes the numbers, or the lengths in `unit` (characters, items, bytes). `values` counts each value of a
    categorical column, the most common first. `not_finite` counts NaN and infinities, which `spread` excludes.
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
    """A whole input: the number of rows, files and bytes, and its columns in order."""

    rows: int
    files: int
    bytes: int
    columns: list[ColumnStatistics]


@dataclass(frozen=True)
class Survey:
    """Statistics with the columns and counts behind them, for comparison with another input.

    By column, `tallies` has the numbers, or the lengths in the unit of the statistics, and `words` the lengths of texts
    in words (`schemas.words`).
    """

    statistics: Statistics
    schema: pa.Schema
    tallies: Mapping[str, Tally]
    words: Mapping[str, Tally]


def statistics(source: Input, observe: Callable[[int], None] = lambda _: None) -> Statistics:
    """Read all rows of `source` once (JSON twice); `observe` is told how many so far.

    Raises `InputError` for unreadable input.
    """
    statistics, _ = _observed(source, _Texts, observe)
    return statistics


def survey(source: Input, observe: Callable[[int], None] = lambda _: None) -> Survey:
    """As `statistics`, with the counts behind them."""
    statistics, observers = _observed(source, _WordCounting, observe)
    named = {observer.name: observer for observer in observers}
    return Survey(
        statistics,
        pa.schema([(observer.name, observer.kind) for observer in observers]),
        {name: observer.tally for name, observer in named.items() if observer.tally},
        {name: observer.words for name, observer in named.items() if isinstance(observer, _WordCounting)},
    )


def _observed(
    source: Input, texts: "type[_Texts]", observe: Callable[[int], None]
) -> tuple[Statistics, list["_Observer"]]:
    """Each column is counted in a thread of its own, while the next rows are read."""
    columns = columns_of(source)
    observers = [_Observer.of(column, texts) for column in columns]
    rows = 0
    with ThreadPoolExecutor(THREADS) as pool:
        counting: Iterator[None] = iter(())
        for more, values in _portions(source, columns):
            list(counting)
            counting = pool.map(_Observer.see, observers, values)
            rows += more
            observe(rows)
        list(counting)
    size = sum(file.stat().st_size for file in source.files)
    return Statistics(rows, len(source.files), size, [observer.statistics() for observer in observers]), observers


def _portions(source: Input, columns: Sequence[Column]) -> Iterator[tuple[int, list[list[pa.Array]]]]:
    """The number of some rows, and the values of each column in these rows: several batches, for most are small."""
    gathered: list[list[pa.Array]] = [[] for _ in columns]
    rows = size = 0
    for batch in source.batches():
        for column, parts in zip(columns, gathered, strict=True):
            parts.append(_values(batch, column))
            size += parts[-1].nbytes
        rows += len(batch)
        if rows >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield rows, gathered
            gathered = [[] for _ in columns]
            rows = size = 0
    yield rows, gathered


def _values(batch: Batch, column: Column) -> pa.Array:
    if isinstance(batch.rows, list) or not batch.has(column.name) or pa.types.is_string(column.type):
        return column_values(batch, column)
    # Without a conversion to the type that all files share, numbers are counted exactly.
    return stored(batch.rows.column(column.name))


class _Observer:
    """Accumulates the statistics of one column."""

    unit: str | None = None
    # How often each number, or each length in `unit`, occurs.
    tally: Tally | None = None

    def __init__(self, column: Column) -> None:
        self._column = column
        self._nulls = 0

    @property
    def name(self) -> str:
        return self._column.name

    @property
    def kind(self) -> pa.DataType:
        return self._column.type

    @classmethod
    def of(cls, column: Column, texts: "type[_Texts]") -> "_Observer":
        types, kind = pa.types, column.type
        if types.is_boolean(kind):
            return _Flags(column)
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return _Numbers(column)
        if types.is_string(kind):
            return texts(column)
        if types.is_binary(kind) or types.is_large_binary(kind):
            return _Lengths(column, "bytes", pc.binary_length)
        return _Lengths(column, "items", pc.list_value_length) if is_list(kind) else cls(column)

    def see(self, parts: Sequence[pa.Array]) -> None:
        """The values of some rows, in parts that may be of several types."""
        for _, alike in groupby(parts, key=lambda part: part.type):
            values = pa.concat_arrays(list(alike))
            self._nulls += values.null_count
            if values.null_count < len(values):
                self._see(values.drop_null())

    def _see(self, values: pa.Array) -> None:
        pass

    def statistics(self) -> ColumnStatistics:
        return ColumnStatistics(self.name, str(self._column.type), self._nulls, **self._found())

    def _found(self) -> dict[str, Any]:
        return {"distinct": None}


class _Flags(_Observer):
    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._values: Counter[str] = Counter()

    def _see(self, values: pa.Array) -> None:
        self._values.update(_as_counts(pc.value_counts(values.cast(pa.string()))))

    def _found(self) -> dict[str, Any]:
        return {"distinct": len(self._values), "values": dict(self._values.most_common())}


class _Numbers(_Observer):
    tally: Tally

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.tally = Tally()
        self._not_finite = 0

    def _see(self, values: pa.Array) -> None:
        numbers = (values.cast(pa.float64()) if pa.types.is_decimal(values.type) else values).to_numpy(False)
        finite = np.isfinite(numbers)
        self._not_finite += len(numbers) - int(finite.sum())
        self.tally.add(numbers[finite])

    def _found(self) -> dict[str, Any]:
        values, _ = self.tally.sorted()
        return {"distinct": len(values), "spread": self.tally.spread(), "not_finite": self._not_finite}


class _Lengths(_Observer):
    """A column whose values are counted by length."""

    tally: Tally

    def __init__(self, column: Column, unit: str, length: Callable[[pa.Array], pa.Array]) -> None:
        super().__init__(column)
        self.unit = unit
        self._length = length
        self.tally = Tally()

    def _see(self, values: pa.Array) -> None:
        self.tally.add(self._length(values).to_numpy(False))

    def _found(self) -> dict[str, Any]:
        return {"distinct": None, "unit": self.unit, "spread": self.tally.spread()}


class _Texts(_Lengths):
    def __init__(self, column: Column) -> None:
        super().__init__(column, "characters", pc.utf8_length)
        self._categories: Counter[str] | None = Counter()
        self._distinct = _Distinct()

    def _see(self, values: pa.Array) -> None:
        super()._see(values)
        self._distinct.add(values)
        if self._categories is not None:
            found = pc.value_counts(values)
            # Many values need not be taken out of Arrow to know that they are too many.
            self._categories.update(_as_counts(found[: CATEGORIES + 1]))
            if len(self._categories) > CATEGORIES or any(len(text) > CATEGORY_CHARACTERS for text in self._categories):
                self._categories = None

    def _found(self) -> dict[str, Any]:
        seen = self._categories or Counter()
        # Values that hardly ever repeat are not categories, however few there are.
        values = dict(seen.most_common()) if seen and 2 * len(seen) <= seen.total() else None
        return {**super()._found(), "distinct": self._distinct.count(), "values": values}


class _WordCounting(_Texts):
    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.words = Tally()

    def _see(self, values: pa.Array) -> None:
        super()._see(values)
        self.words.add(words.counts(values))


class _Distinct:
    """Counts distinct values by their fingerprints, until there are too many."""

    def __init__(self) -> None:
        self._known: Fingerprints | None = np.empty(0, np.uint64)
        self._gathered: list[Fingerprints] = []
        self._size = 0

    def add(self, values: pa.Array) -> None:
        if self._known is None:
            return
        self._gathered.append(fingerprints(values))
        self._size += len(values)
        # Merging only when the new values are as many as the known ones takes n log n in total.
        if self._size >= max(GATHERED, len(self._known)):
            self._merge()

    def _merge(self) -> None:
        if self._known is not None:
            # Without counts `np.unique` hashes, which is five times slower here than sorting.
            known = np.sort(np.concatenate([self._known, *self._gathered]))
            self._known = known[np.diff(known, prepend=~known[:1]) != 0]
            self._gathered, self._size = [], 0
            if len(self._known) > MOST_DISTINCT:
                self._known = None

    def count(self) -> int | None:
        self._merge()
        return None if self._known is None else len(self._known)


def _as_counts(found: pa.StructArray) -> Mapping[str, int]:
    return {item["values"]: item["counts"] for item in found.to_pylist()}
