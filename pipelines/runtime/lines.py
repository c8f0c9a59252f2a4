"""The lines of a journal of rows: one for each output, and one for each rejection, of the rows that have finished."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import pyarrow as pa

from synth.pipelines.runtime.counts import OUTPUT, REJECTED_OUTPUT
from synth.pipelines.runtime.stage import Rejected, Row
from synth.schemas.journal import batch_of_columns

__all__ = ["EndedRow", "LineFormat", "rejected_schema"]

# A row's index in the input, what it gave in this order, how and why it gave nothing, and its tallies.
EndedRow = tuple[int, Sequence[Row | Rejected], tuple[int, Rejected] | None, dict[str, float]]

_write_json = msgspec.json.Encoder().encode


def rejected_schema(inputs: pa.Schema, outputs: pa.Schema, *, raw: bool) -> pa.Schema:
    """Reason and detail, then every other column that an input row or an output row of a stage can have.

    With `raw`, rows that cannot be used are among them, as they stand in the input.
    """
    names = ("id", "reason", "detail", *(("raw_row",) if raw else ()))
    first = dict.fromkeys(names, pa.string())
    columns = {field.name: field.type for field in (*inputs, *outputs)}
    return pa.schema(list({**first, **columns, **first}.items()))


@dataclass(frozen=True)
class LineFormat:
    """The columns of the output rows and of the rejected rows of a run; the latter have all of the former."""

    outputs: pa.Schema
    rejected: pa.Schema

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([("_row", pa.int64()), ("_kind", pa.int8()), ("_tallies", pa.string()), *self.rejected])

    def batch(self, ended: Sequence[EndedRow]) -> pa.RecordBatch:
        """The lines of these rows; the first line of a row has its tallies as JSON.

        Raises `pa.ArrowException` where a value does not fit its column.
        """
        rows: list[int] = []
        kinds: list[int] = []
        tallies: list[bytes | None] = []
        values: list[Row] = []
        for index, items, without, tallied in ended:
            first = len(rows)
            for item in items:
                if isinstance(item, Rejected):
                    kinds.append(REJECTED_OUTPUT)
                    values.append(_explained(item))
                else:
                    kinds.append(OUTPUT)
                    values.append(item)
                rows.append(index)
                tallies.append(None)
            if without:
                kind, rejected = without
                kinds.append(kind)
                values.append(_explained(rejected))
                rows.append(index)
                tallies.append(None)
            if tallied:
                tallies[first] = _write_json(tallied)
        # Rows that all gave outputs leave the columns of rejections empty.
        filled = set(self.outputs.names if set(kinds) == {OUTPUT} else self.rejected.names)
        empty = [None] * len(rows)
        columns = [[row.get(name) for row in values] if name in filled else empty for name in self.rejected.names]
        return batch_of_columns([rows, kinds, tallies, *columns], self.schema)


def _explained(item: Rejected) -> dict[str, Any]:
    return {**item.row, "reason": item.reason, "detail": item.detail}
