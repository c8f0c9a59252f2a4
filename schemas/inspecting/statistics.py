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

from synth.schemas import words
from synth.schemas.fingerprints import Fingerprints, fingerprints
from synth.schemas.inspecting.histogram import GATHERED, Spread, Tally
from synth.schemas.reading.columns import convert
from synth.schemas.reading.formats import Batch
from synth.schemas.reading.inference import columns_of
from synth.schemas.reading.inputs import Input
from synth.schemas.record import Column
from synth.schemas.storable import stored

__all__ = ["ColumnStatistics", "Statistics", "Survey", "statistics", "survey"]

# Different values of a column that are told apart, 8 bytes each; beyond that they are not counted.
MOST_DISTINCT = 1 << 22
# A column of at most so many different texts, none of them longer, is one of categories.
CATEGORIES = 24
CATEGORY_CHARACTERS = 40


@dataclass(frozen=True)
class ColumnStatistics:
    """One column. `distinct` counts different values other than null; None where that was not counted.

    `spread` is that of the numbers themselves, or of the lengths in `unit` (characters, items, bytes). `values` are the
    values and how often each occurs, the commonest first, where there are few. `not_finite` counts NaN and infinities,
    which the spread leaves out.
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


@dataclass(frozen=True)
class Survey:
    """An input in numbers that can be set beside those of another one.

    By column, `tallies` count its numbers or its lengths in the unit of its statistics, and `words` the lengths of its
    texts in words, as `schemas.words` counts them.
    """

    statistics: Statistics
    tallies: Mapping[str, Tally]
    words: Mapping[str, Tally]


def statistics(source: Input) -> Statistics:
    """Read all rows of `source` once (JSON twice). Raises `InputError` for what cannot be read."""
    statistics, _ = _observed(source)
    return statistics


def survey(source: Input) -> Survey:
    """As `statistics`, with the counts behind them."""
    statistics, observers = _observed(source, _WordCounting)
    named = {observer.name: observer for observer in observers}
    return Survey(
        statistics,
        {name: observer.tally for name, observer in named.items() if observer.tally},
        {name: observer.words for name, observer in named.items() if isinstance(observer, _WordCounting)},
    )


def _observed(source: Input, texts: "type[_Texts] | None" = None) -> tuple[Statistics, list["_Observer"]]:
    columns = columns_of(source)
    observers = [_Observer.of(column, texts or _Texts) for column in columns]
    rows = 0
    for batch in source.batches():
        rows += len(batch)
        for column, observer in zip(columns, observers, strict=True):
            observer.see(_values(batch, column))
    size = sum(file.stat().st_size for file in source.files)
    return Statistics(rows, len(source.files), size, [observer.statistics() for observer in observers]), observers


def _values(batch: Batch, column: Column) -> pa.Array:
    if isinstance(batch.rows, list):
        return convert(column, [row.get(column.name) for row in batch.rows])
    if not batch.has(column.name):
        return pa.nulls(len(batch), column.type)
    values = batch.rows.column(column.name)
    return convert(column, values) if column.json else stored(values)


class _Observer:
    """Observes the values of one column, and gives its statistics at the end."""

    unit: str | None = None
    # How often each number, or each length in `unit`, occurs.
    tally: Tally | None = None

    def __init__(self, column: Column) -> None:
        self._column = column
        self._nulls = 0

    @property
    def name(self) -> str:
        return self._column.name

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
    """A column of which the lengths are of interest."""

    tally: Tally

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.tally = Tally()

    def _see(self, values: pa.Array) -> None:
        self.tally.add(self._measure(values).to_numpy(False))

    def _measure(self, values: pa.Array) -> pa.Array:
        raise NotImplementedError

    def _found(self) -> dict[str, Any]:
        return {"distinct": None, "unit": self.unit, "spread": self.tally.spread()}


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


class _WordCounting(_Texts):
    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.words = Tally()

    def _see(self, values: pa.Array) -> None:
        super()._see(values)
        self.words.add(np.array([words.count(text) for text in values.to_pylist()], np.int64))


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


def _counted(values: pa.Array) -> Mapping[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(values).to_pylist()}
