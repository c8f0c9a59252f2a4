"""What was read of an input: its usable rows, and those that cannot be used, such as rows with a repeated id."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.schemas.errors import InputError
from synth.schemas.fingerprints import fingerprints
from synth.schemas.reading.formats.exact import text_of

__all__ = ["SCHEMA", "BadRow", "Reading", "bad_table", "joined_readings", "repetitions"]

# `number` is the index among all rows of the input; `raw_row` is the row as JSON, or its text where it cannot be read.
SCHEMA = pa.schema([("number", pa.int64()), *((name, pa.string()) for name in ("id", "reason", "detail", "raw_row"))])
HASHED_AT_ONCE = 1 << 16


class BadRow(NamedTuple):
    """A row that cannot be used, as `SCHEMA` has it."""

    number: int
    id: str
    reason: str
    detail: str
    raw_row: str


@dataclass(frozen=True)
class Reading:
    """The usable rows of an input, and the others as `SCHEMA` has them, in the order of the input."""

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
        """The indices in the input of the rows at these indices of the table."""
        usable_before = self.bad["number"].to_numpy() - np.arange(self.bad.num_rows)
        return [int(i) for i in np.asarray(indices) + np.searchsorted(usable_before, indices, side="right")]

    def without(self, faults: Mapping[int, tuple[str, str, str]]) -> "Reading":
        """Without the rows at these ascending indices of the table, which are bad: id, reason and detail of each."""
        if not faults:
            return self
        raw = [text_of(self.table.slice(index, 1).to_pylist()[0], otherwise=str) for index in faults]
        places = self.in_input([*faults])
        rows = [BadRow(*row) for row in zip(places, *zip(*faults.values(), strict=True), raw, strict=True)]
        # Slices copy nothing.
        edges = [-1, *faults, self.table.num_rows]
        kept = [self.table.slice(one + 1, other - one - 1) for one, other in pairwise(edges)]
        return Reading(pa.concat_tables(kept), pa.concat_tables([self.bad, bad_table(rows)]).sort_by("number"))

    def without_repetitions(self, places: Callable[[Sequence[int]], list[str]], *, rejects: bool) -> "Reading":
        """Without the rows whose id an earlier one has. `places` says where rows of the table are.

        Raises `InputError` for the first of them unless it `rejects`.
        """
        pairs = list(islice(repetitions(self.table["id"]), None if rejects else 1))
        indices = sorted({index for pair in pairs for index in pair})
        place = dict(zip(indices, places(indices), strict=True)) if indices else {}
        faults = {}
        for earlier, again in pairs:
            row_id = self.table["id"][again].as_py()
            detail = f"id {row_id!r} stands in {place[earlier]} and again in {place[again]}: ids must be unique"
            if not rejects:
                raise InputError(f"{detail}, so name another column with --column id=NAME")
            faults[again] = (row_id, "repeated_id", detail)
        return self.without(faults)


def bad_table(rows: Sequence[BadRow]) -> pa.Table:
    """Bad rows as `SCHEMA` has them."""
    return pa.Table.from_pylist([row._asdict() for row in rows], SCHEMA)


def joined_readings(readings: Sequence[Reading], table: pa.Table) -> Reading:
    """All of these in order, whose usable rows are those of `table`."""
    starts = np.cumsum([0, *(reading.rows for reading in readings)])
    bad = [
        reading.bad.set_column(0, SCHEMA.field(0), pc.add(reading.bad["number"], int(start)))
        for reading, start in zip(readings, starts, strict=False)
    ]
    return Reading(table, pa.concat_tables(bad))


def repetitions(ids: pa.ChunkedArray) -> Iterator[tuple[int, int]]:
    """Indices of each id that an earlier row has, after those of that row.

    Memory is eight bytes for each id: only ids with equal hashes are compared.
    """
    batches = pa.table({"id": ids}).to_batches(max_chunksize=HASHED_AT_ONCE)
    hashes = np.concatenate([np.empty(0, np.uint64), *(fingerprints(batch.column(0)) for batch in batches)])
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    seen: dict[str, int] = {}
    for index in np.flatnonzero(np.isin(hashes, shared)).tolist() if shared.size else ():
        earlier = seen.setdefault(ids[index].as_py(), index)
        if earlier != index:
            yield earlier, index
