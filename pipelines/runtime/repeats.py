"""Rows that come out more than once: their ids stay unique, and say which time it is."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.schemas.errors import InputError

__all__ = ["REPEAT", "numbered", "require_new_ids"]

REPEAT = pa.field("repeat", pa.int32())
_INFIX = "/repeat-"

# For each row that comes out: which time it is, from 1.
Times = NDArray[np.int32]


def numbered(rows: pa.Table, times: Times) -> pa.Table:
    """Rows with a column `repeat`; from the second time on, the id is `ID/repeat-2`."""
    ids = pc.if_else(pa.array(times > 1), _repeat_ids(rows["id"], times), rows["id"])
    place = rows.schema.get_field_index("id")
    return rows.set_column(place, rows.schema.field(place), ids).append_column(REPEAT, pa.array(times, REPEAT.type))


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


def _repeat_ids(ids: pa.ChunkedArray, times: Times) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(ids, pa.array(times).cast(pa.string()), _INFIX)
