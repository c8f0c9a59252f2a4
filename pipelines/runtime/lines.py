"""The lines of a journal of finished rows: one for each output row and each rejection."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from synth.pipelines.runtime.counts import OUTPUT, REJECTED_OUTPUT
from synth.pipelines.runtime.stage import Rejected, Row
from synth.schemas.atomic import atomic
from synth.schemas.journal import batch_of_columns

__all__ = ["EndedRow", "LineFormat", "rejected_schema"]

# A row's index in the input, its output and filtered rows in order, how and why it has no output (else None), and its
# tallies.
EndedRow = tuple[int, Sequence[Row | Rejected], tuple[int, Rejected] | None, dict[str, float]]

_write_json = msgspec.json.Encoder().encode


def rejected_schema(inputs: pa.Schema, outputs: pa.Schema, *, raw: bool, asks: bool) -> pa.Schema:
    """Reason and detail, then every other column of the input and output rows.

    With `asks`, also the rejected replies of the model; with `raw`, the raw text of unusable input rows.
    """
    first: dict[str, pa.DataType] = dict.fromkeys(("id", "reason", "detail"), pa.string())
    if asks:
        first["model_replies"] = pa.list_(pa.string())
    if raw:
        first["raw_row"] = pa.string()
    columns = {field.name: field.type for field in (*inputs, *outputs)}
    return pa.schema(list({**first, **columns, **first}.items()))


@dataclass(frozen=True)
class LineFormat:
    """The schemas of the output rows and the rejected rows of a run; the latter includes the former."""

    outputs: pa.Schema
    rejected: pa.Schema

    def save(self, path: Path) -> None:
        """Record it, so that others can read the journals of a run."""
        with atomic(path) as temporary:
            temporary.write_bytes(self.outputs.serialize().to_pybytes() + self.rejected.serialize().to_pybytes())

    @classmethod
    def load(cls, path: Path) -> "LineFormat":
        """As it was saved. Raises `FileNotFoundError`."""
        with pa.BufferReader(path.read_bytes()) as source:
            return cls(pa.ipc.read_schema(source), pa.ipc.read_schema(source))

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([("_row", pa.int64()), ("_kind", pa.int8()), ("_tallies", pa.string()), *self.rejected])

    def batch(self, ended: Sequence[EndedRow]) -> pa.RecordBatch:
        """The lines of these rows; the first line of a row has its tallies as JSON.

        Raises `pa.ArrowException` if a value does not fit its column.
        """
        rows: list[int] = []
        kinds: list[int] = []
        tallies: list[bytes | None] = []
        values: list[Row] = []
        for index, items, without, tallied in ended:
            tally = _write_json(tallied) if tallied else None
            for item in items:
                if isinstance(item, Rejected):
                    kinds.append(REJECTED_OUTPUT)
                    values.append(_explained(item))
                else:
                    kinds.append(OUTPUT)
                    values.append(item)
                rows.append(index)
                tallies.append(tally)
                tally = None
            if without:
                kind, rejected = without
                kinds.append(kind)
                values.append(_explained(rejected))
                rows.append(index)
                tallies.append(tally)
        # If there are only output rows, the columns of rejections are null.
        filled = set(self.outputs.names if set(kinds) == {OUTPUT} else self.rejected.names)
        empty = [None] * len(rows)
        columns = [[row.get(name) for row in values] if name in filled else empty for name in self.rejected.names]
        return batch_of_columns([rows, kinds, tallies, *columns], self.schema)


def _explained(item: Rejected) -> dict[str, Any]:
    return {
        **item.row,
        "reason": item.reason,
        "detail": item.detail,
        "model_replies": list(item.replies) or None,
    }
