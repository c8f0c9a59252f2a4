"""Rows that come out more than once: their ids stay unique, and say which time it is."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.schemas.errors import InputError

__all__ = ["REPEAT", "appearances", "first_rows", "numbered", "require_new_ids", "unrepeated"]

REPEAT = pa.field("repeat", pa.int32())
_INFIX = "/repeat-"
_SUFFIX = f"{_INFIX}[0-9]+$"

# For each row that comes out: which time it is, from 1.
Times = NDArray[np.int32]


def appearances(rows: NDArray[np.int64]) -> Times:
    """The times of rows that come out in this order, by their indices."""
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    times = np.empty(len(rows), np.int32)
    times[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows))) + 1
    return times


def numbered(rows: pa.Table, times: Times) -> pa.Table:
    """Rows with a column `repeat`; from the second time on, the id is `ID/repeat-2`."""
    ids = pc.if_else(pa.array(times > 1), _repeat_ids(rows["id"], times), rows["id"])
    place = rows.schema.get_field_index("id")
    rows = rows.set_column(place, rows.schema.field(place), ids)
    if REPEAT.name in rows.column_names:
        rows = rows.drop_columns([REPEAT.name])
    return rows.append_column(REPEAT, pa.array(times, REPEAT.type))


def require_new_ids(ids: pa.ChunkedArray, rows: NDArray[np.int64], times: Times) -> None:
    """Raises `InputError` if a row, of those with these ids, would get the id of another one when it is repeated."""
    alike = ids.filter(pc.match_substring(ids, _INFIX)).combine_chunks()
    if not len(alike):
        return
    again = times > 1
    new = _repeat_ids(ids.take(pa.array(rows[again])), times[again])
    if len(taken := new.filter(pc.is_in(new, value_set=alike))):
        raise InputError(
            f"a repeated row would get the id {taken[0].as_py()!r}, which another row has: repeat the rows that were "
            "repeated before from their first input, or name another column with --column id=NAME"
        )


def unrepeated(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """The ids of the rows that these repeat; an id that says nothing of a repeat stays."""
    return pc.replace_substring_regex(ids, _SUFFIX, "")


def first_rows(ids: pa.ChunkedArray) -> NDArray[np.int64]:
    """The row that each row repeats, by these ids; itself if it repeats none of them."""
    firsts = np.arange(len(ids))
    again = np.flatnonzero(pc.match_substring_regex(ids, _SUFFIX).to_numpy())
    if len(again):
        known = ids.cast(pa.large_string()).combine_chunks()
        of = pc.index_in(unrepeated(known.take(pa.array(again))), value_set=known)
        firsts[again] = np.where(of.is_valid(), of.fill_null(0), again)
    return firsts


def _repeat_ids(ids: pa.ChunkedArray, times: Times) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(ids, pa.array(times).cast(pa.string()), _INFIX)
