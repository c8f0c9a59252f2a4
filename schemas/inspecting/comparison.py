"""The differences between the rows of two dataset directories.

Rows are matched by id and compared by the fingerprints of their columns, so memory is a few numbers per row, however
long the texts are. Shards with the same checksum in both run records are not read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.schemas.dataset import Dataset, read_shards
from synth.schemas.fingerprints import Fingerprints, fingerprints
from synth.schemas.storable import common_type

__all__ = ["Comparison", "Side", "compare"]

# Row numbers, ascending unless they are those of rows matched with another table.
Rows = NDArray[np.int64]
# Values in memory while their fingerprints are computed.
PIECE = 8192


@dataclass(frozen=True)
class Side:
    """One of two datasets: the number of its `rows`, and the `table` of those outside shared shards.

    `only` are the rows of `table` that the other dataset lacks; `changed` those that differ there, in the order of the
    first dataset.
    """

    rows: int
    table: pa.Table
    has_ids: bool
    only: Rows
    changed: Rows

    def name(self, row: int) -> str:
        """The row's id, or its number (from 1) if rows are matched by position."""
        return str(self.table["id"][row].as_py()) if self.has_ids else f"row {row + 1}"

    def values(self, row: int) -> dict[str, Any]:
        (found,) = self.table.slice(row, 1).to_pylist()
        return dict(found)


@dataclass(frozen=True)
class Comparison:
    """`same` counts the equal rows, `by_column` the changed rows in which each column differs.

    `types` are both types of the common columns whose types differ. `moved` is whether common rows are in another
    order, which alone is not a difference.
    """

    a: Side
    b: Side
    same: int
    by_column: dict[str, int]
    columns_only_a: list[str]
    columns_only_b: list[str]
    types: dict[str, tuple[str, str]]
    moved: bool

    @property
    def equal(self) -> bool:
        """Whether both have the same rows with the same columns."""
        different = len(self.a.only) + len(self.b.only) + len(self.a.changed)
        return not (different or self.columns_only_a or self.columns_only_b)


def compare(a: Dataset, b: Dataset) -> Comparison:
    """Compare all rows. Raises `InputError` for a shard that cannot be read."""
    has_ids = all("id" in dataset.table.column_names for dataset in (a, b))
    # Rows that are matched by position must all be read.
    shared = {*a.checksums.values()} & {*b.checksums.values()} if has_ids else set()
    first, second = _without(a, shared), _without(b, shared)
    if has_ids:
        mine, theirs, only_a, only_b = _matched(_keys(first), _keys(second))
    else:
        mine, theirs, only_a, only_b = _by_position(len(first), len(second))
    both = [name for name in first.column_names if name in second.column_names]
    differs = np.zeros(len(mine), np.bool_)
    by_column: dict[str, int] = {}
    for name in both:
        found = _differs(first[name], second[name], mine, theirs)
        differs |= found
        if found.any():
            by_column[name] = int(found.sum())
    kinds = {name: (str(first[name].type), str(second[name].type)) for name in both}
    return Comparison(
        a=Side(a.table.num_rows, first, has_ids, only_a, mine[differs]),
        b=Side(b.table.num_rows, second, has_ids, only_b, theirs[differs]),
        same=a.table.num_rows - len(only_a) - int(differs.sum()),
        by_column=by_column,
        columns_only_a=[name for name in first.column_names if name not in both],
        columns_only_b=[name for name in second.column_names if name not in both],
        types={name: pair for name, pair in kinds.items() if pair[0] != pair[1]},
        moved=bool((np.diff(theirs) < 0).any()),
    )


def _without(dataset: Dataset, shared: set[str]) -> pa.Table:
    """The rows of all shards except those with these checksums, which contribute only their columns."""
    checksums = [dataset.checksums.get(path) for path in dataset.shards]
    tables = [
        table.slice(0, 0) if checksum in shared else table
        for checksum, table in zip(checksums, read_shards(dataset.shards), strict=True)
    ]
    return pa.concat_tables(tables) if tables else dataset.table


def _keys(table: pa.Table) -> Fingerprints:
    """Fingerprints of the ids, different for each occurrence: the second row of an id matches the other's second."""
    keys = _fingerprints(table["id"], pa.string())
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=~ordered[:1]))
    occurrence = np.arange(len(keys)) - np.repeat(starts, np.diff(starts, append=len(keys)))
    keys[order] = ordered + occurrence.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return keys


def _matched(a: Fingerprints, b: Fingerprints) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows of `a` and of `b` with the same key, in pairs, and the rows of each that are missing in the other."""
    order = np.argsort(b)
    ordered = b[order]
    positions = np.searchsorted(ordered, a)
    found = np.zeros(len(a), np.bool_)
    inside = positions < len(b)
    found[inside] = ordered[positions[inside]] == a[inside]
    theirs = order[positions[found]]
    only_b = np.ones(len(b), np.bool_)
    only_b[theirs] = False
    return np.flatnonzero(found), theirs, np.flatnonzero(~found), np.flatnonzero(only_b)


def _by_position(a: int, b: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows matched by their numbers."""
    both = np.arange(min(a, b))
    return both, both, np.arange(min(a, b), a), np.arange(min(a, b), b)


def _differs(a: pa.ChunkedArray, b: pa.ChunkedArray, mine: Rows, theirs: Rows) -> NDArray[np.bool_]:
    """Whether each pair of rows differs in a column; values of types without a common type always differ."""
    nulls_a, nulls_b = _nulls(a)[mine], _nulls(b)[theirs]
    kind = common_type(_decoded(a.type), _decoded(b.type))
    if kind is None:
        return ~(nulls_a & nulls_b)
    differ: NDArray[np.bool_] = _fingerprints(a, kind)[mine] != _fingerprints(b, kind)[theirs]
    return np.where(nulls_a | nulls_b, nulls_a != nulls_b, differ)


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _nulls(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.is_null(column).to_numpy(), np.bool_)


def _fingerprints(column: pa.ChunkedArray, kind: pa.DataType) -> Fingerprints:
    found = np.empty(len(column), np.uint64)
    end = 0
    for chunk in column.chunks:
        for start in range(0, len(chunk), PIECE):
            piece = chunk.slice(start, PIECE)
            piece = piece.dictionary_decode() if pa.types.is_dictionary(piece.type) else piece
            found[end : end + len(piece)] = fingerprints(piece if piece.type == kind else piece.cast(kind, safe=False))
            end += len(piece)
    return found
