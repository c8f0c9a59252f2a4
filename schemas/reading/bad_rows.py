"""The rows of an input: the usable ones, and the bad ones, such as rows with a duplicate id."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.schemas.errors import InputError
from synth.schemas.fingerprints import Fingerprints, fingerprints
from synth.schemas.reading.formats.exact import text_of

__all__ = ["SCHEMA", "BadRow", "Reading", "bad_table", "duplicates", "joined_readings"]

# `number` is the index among all rows of the input; `raw_row` is the row as JSON, or its text if it cannot be parsed.
SCHEMA = pa.schema([("number", pa.int64()), *((name, pa.string()) for name in ("id", "reason", "detail", "raw_row"))])
HASHED_AT_ONCE = 1 << 16
# 128 MiB.
HASHES_IN_MEMORY = 1 << 24
NO_HASHES = np.empty(0, np.uint64)


class BadRow(NamedTuple):
    """A row of `SCHEMA`: an input row that cannot be used."""

    number: int
    id: str
    reason: str
    detail: str
    raw_row: str


@dataclass(frozen=True)
class Reading:
    """The usable rows of an input, and the bad ones with `SCHEMA`, both in input order."""

    table: pa.Table
    bad: pa.Table

    @property
    def rows(self) -> int:
        return int(self.table.num_rows + self.bad.num_rows)

    def first(self, limit: int | None) -> "Reading":
        """The first `limit` rows of the input, usable or not."""
        if limit is None:
            return self
        bad = self.bad.filter(pc.less(self.bad["number"], limit))
        return Reading(self.table.slice(0, limit - bad.num_rows), bad)

    def in_input(self, indices: Sequence[int]) -> list[int]:
        """The indices in the input of the rows at `indices` of the table."""
        usable_before = self.bad["number"].to_numpy() - np.arange(self.bad.num_rows)
        return [int(i) for i in np.asarray(indices) + np.searchsorted(usable_before, indices, side="right")]

    def without(self, faults: Mapping[int, tuple[str, str, str]]) -> "Reading":
        """Move rows to the bad ones: by ascending index in the table, the id, reason and detail of each."""
        if not faults:
            return self
        raw = [text_of(self.table.slice(index, 1).to_pylist()[0], otherwise=str) for index in faults]
        places = self.in_input([*faults])
        rows = [BadRow(*row) for row in zip(places, *zip(*faults.values(), strict=True), raw, strict=True)]
        # Slices copy nothing.
        edges = [-1, *faults, self.table.num_rows]
        kept = [self.table.slice(one + 1, other - one - 1) for one, other in pairwise(edges)]
        return Reading(pa.concat_tables(kept), pa.concat_tables([self.bad, bad_table(rows)]).sort_by("number"))

    def without_duplicates(
        self, places: Callable[[Sequence[int]], list[str]], folder: Path, *, rejects: bool
    ) -> "Reading":
        """Move rows with the id of an earlier row to the bad ones. `places` describes where rows of the table are.

        `folder` is for temporary files. Raises `InputError` for the first such row unless `rejects`.
        """
        pairs = list(islice(duplicates(self.table["id"], folder), None if rejects else 1))
        indices = sorted({index for pair in pairs for index in pair})
        place = dict(zip(indices, places(indices), strict=True)) if indices else {}
        faults = {}
        for first, repeated in pairs:
            row_id = self.table["id"][repeated].as_py()
            detail = f"id {row_id!r} stands in {place[first]} and again in {place[repeated]}: ids must be unique"
            if not rejects:
                raise InputError(f"{detail}, so name another column with --column id=NAME")
            faults[repeated] = (row_id, "repeated_id", detail)
        return self.without(faults)


def bad_table(rows: Sequence[BadRow]) -> pa.Table:
    """Bad rows as a table with `SCHEMA`."""
    return pa.Table.from_pylist([row._asdict() for row in rows], SCHEMA)


def joined_readings(readings: Sequence[Reading], table: pa.Table) -> Reading:
    """Several readings as one, in order; `table` has the usable rows of all of them."""
    starts = np.cumsum([0, *(reading.rows for reading in readings)])
    bad = [
        reading.bad.set_column(0, SCHEMA.field(0), pc.add(reading.bad["number"], int(start)))
        for reading, start in zip(readings, starts, strict=False)
    ]
    return Reading(table, pa.concat_tables(bad))


def duplicates(ids: pa.ChunkedArray, folder: Path) -> Iterator[tuple[int, int]]:
    """For each duplicate id, the index of its first row and its own index.

    Only ids with equal hashes are compared. The hashes of many rows are in a temporary file in `folder`, eight bytes
    for each, whose pages the system takes from memory when it needs them.
    """
    shared = _shared_hashes(ids, folder)
    seen: dict[str, int] = {}
    first = 0
    for values, hashes in _hashed(ids) if shared.size else ():
        for place in np.flatnonzero(np.isin(hashes, shared)).tolist():
            earlier = seen.setdefault(values[place].as_py(), first + place)
            if earlier != first + place:
                yield earlier, first + place
        first += len(hashes)


def _shared_hashes(ids: pa.ChunkedArray, folder: Path) -> Fingerprints:
    """The hashes that several ids have."""
    with _numbers(len(ids), folder) as hashes:
        end = 0
        for _, found in _hashed(ids):
            hashes[end : end + len(found)] = found
            end += len(found)
        hashes.sort()
        pieces = (hashes[start : start + HASHED_AT_ONCE + 1] for start in range(0, end, HASHED_AT_ONCE))
        shared = np.concatenate([NO_HASHES, *(piece[1:][piece[1:] == piece[:-1]] for piece in pieces)])
        # For any array, `numpy.unique` imports masked arrays: a tenth of a short run.
        return np.unique(shared) if shared.size else shared


def _hashed(ids: pa.ChunkedArray) -> Iterator[tuple[pa.Array, Fingerprints]]:
    for batch in pa.table({"id": ids}).to_batches(max_chunksize=HASHED_AT_ONCE):
        yield batch.column(0), fingerprints(batch.column(0))


@contextmanager
def _numbers(count: int, folder: Path) -> Iterator[Fingerprints]:
    """Room for so many numbers."""
    if count <= HASHES_IN_MEMORY:
        yield np.empty(count, np.uint64)
        return
    with TemporaryFile(dir=folder) as file:
        # Now, because a disk that is full when a mapped file is written to kills the process.
        os.posix_fallocate(file.fileno(), 0, count * NO_HASHES.itemsize)
        yield np.memmap(file, np.uint64, "r+", shape=count)
