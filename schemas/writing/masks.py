"""Exporting chats of which parts are not learnt, as Axolotl reads them: with the characters to learn of each turn."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.records.shared import SEGMENTS
from synth.schemas.segments import LEARNT, fault_of, spans, unlearnt
from synth.schemas.writing.shapes import MESSAGES

__all__ = ["with_details"]

DETAILS = pa.list_(pa.struct([("begin_offset", pa.int64()), ("end_offset", pa.int64()), ("train", pa.bool_())]))
TURN_FIELDS = [pa.field("train", pa.bool_()), pa.field("train_detail", DETAILS)]


def with_details(schema: pa.Schema, tables: Iterator[pa.Table], origin: str) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Chats as `shaped` gives them, without `segments`: each turn has `train`, and those of segments `train_detail`.

    `train` is true for what the assistant says. `train_detail` lists the segments of the last such turn: offsets are
    those of their first and last characters, as Axolotl counts them. It is null where all of the turn is learnt.

    Raises `InputError` for segments that are not the parts of the last turn.
    """
    turns = schema.field(MESSAGES.column).type.value_type
    fields = [pa.field(MESSAGES.column, pa.list_(pa.struct([*turns, *TURN_FIELDS])))]
    others = [field for field in schema if field.name not in (MESSAGES.column, SEGMENTS.name)]
    detailed = pa.schema([*fields, *others])
    return detailed, _detailed(detailed, tables, origin)


def _detailed(schema: pa.Schema, tables: Iterator[pa.Table], origin: str) -> Iterator[pa.Table]:
    start = 0
    for table in tables:
        rows = table.to_pylist()
        for number, row in enumerate(rows, start=start + 1):
            turns = row[MESSAGES.column] or []
            for turn in turns:
                turn["train"] = turn[MESSAGES.role] == MESSAGES.assistant
            segments = row.pop(SEGMENTS.name, None)
            if segments:
                last: dict[str, Any] = next((turn for turn in reversed(turns) if turn["train"]), {})
                if fault := fault_of(segments, last.get(MESSAGES.content)):
                    raise InputError(f"{SEGMENTS.name} in row {number} of {origin}: {fault}")
                last["train_detail"] = _details(segments) if unlearnt(segments) else None
        start += len(rows)
        yield pa.Table.from_pylist(rows, schema)


def _details(segments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"begin_offset": first, "end_offset": stop - 1, "train": part["loss"] == LEARNT}
        for (first, stop), part in zip(spans(segments), segments, strict=True)
        if stop > first
    ]
