"""The lines of a journal of rows: one for each output, and one for each rejection, of the rows that have finished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from synth.pipelines.runtime.counts import OUTPUT
from synth.schemas.journal import batch_of_columns

__all__ = ["Line", "LineFormat", "rejected_schema"]

# The row's index in the input, what the line is, tallies as JSON in the first line of a row, and the values.
Line = tuple[int, int, bytes | None, Mapping[str, Any]]


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

    def batch(self, lines: Sequence[Line]) -> pa.RecordBatch:
        """Raises `pa.ArrowException` where a value does not fit its column."""
        rows, kinds, tallies, values = zip(*lines, strict=True)
        names = self._output_names if set(kinds) == {OUTPUT} else self.rejected.names
        columns = {name: [row.get(name) for row in values] for name in names}
        nothing = [None] * len(lines)
        return batch_of_columns(
            [rows, kinds, tallies, *(columns.get(name, nothing) for name in self.rejected.names)], self.schema
        )

    @cached_property
    def _output_names(self) -> list[str]:
        return list(self.outputs.names)
