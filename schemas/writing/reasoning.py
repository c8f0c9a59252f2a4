"""Exporting rows with their reasoning before the response, as trainers of reasoning models read it."""

from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from synth.schemas.storable import is_text
from synth.schemas.writing.shapes import MESSAGES, SHAREGPT, ChatShape, one_row_per_instance

__all__ = ["FIELD", "ReasoningForm", "think_block", "with_reasoning"]

ReasoningForm = Literal["think", "field"]

FIELD = "reasoning_content"


def with_reasoning(
    dataset: Dataset, shape: str, schema: pa.Schema, tables: Iterator[pa.Table], form: ReasoningForm
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The output of `shaped` for `dataset`, each row with its `reasoning` before its response.

    `think` writes it into the text, within `<think>` and `</think>`; `field` into the field `reasoning_content` of the
    assistant's message (null in other messages), which the model's chat template formats. In a chat it belongs to the
    assistant's last turn. Rows without reasoning are unchanged.

    Raises `InputError` if there is no text column `reasoning`, `UsageError` if the shape has no field for it.
    """
    if shape == "rows":
        raise UsageError("--reasoning needs --as messages, sharegpt, alpaca or llama-factory: in rows it is a column")
    kind = dataset.table["reasoning"].type if "reasoning" in dataset.table.column_names else None
    if kind is None or not (is_text(kind) or pa.types.is_null(kind)):
        raise InputError(f"{dataset} has no text column reasoning: export it without --reasoning")
    chat = next((chat for chat in (MESSAGES, SHAREGPT) if chat.column in schema.names), None)
    if form == "field":
        if chat is not MESSAGES:
            raise UsageError(
                "--reasoning field needs --as messages, whose turns can have the field: use --reasoning think"
            )
        turns = pa.field(chat.column, _with_field(schema.field(chat.column).type))
        schema = schema.set(schema.get_field_index(chat.column), turns)
    return schema, _with_thoughts(dataset, schema, tables, form, chat)


def _with_field(turns: pa.ListType) -> pa.DataType:
    fields = [field for field in turns.value_type if field.name != FIELD]
    return pa.list_(pa.struct([*fields, pa.field(FIELD, pa.string())]))


def _with_thoughts(
    dataset: Dataset, schema: pa.Schema, tables: Iterator[pa.Table], form: ReasoningForm, chat: ChatShape | None
) -> Iterator[pa.Table]:
    thoughts = one_row_per_instance(dataset.table)["reasoning"]
    start = 0
    for table in tables:
        reasoning = thoughts.slice(start, table.num_rows).to_pylist()
        start += table.num_rows
        rows = table.to_pylist()
        for row, thought in zip(rows, reasoning, strict=True):
            if not thought:
                continue
            if chat is None:
                row["output"] = think_block(thought, row["output"])
            else:
                _add_to_chat(row[chat.column], thought, form, chat)
        yield pa.Table.from_pylist(rows, schema)


def _add_to_chat(turns: list[dict[str, Any]] | None, thought: str, form: ReasoningForm, chat: ChatShape) -> None:
    last = next((turn for turn in reversed(turns or []) if turn[chat.role] == chat.assistant), None)
    if last is None:
        return
    if form == "field":
        last[FIELD] = thought
    else:
        last[chat.content] = think_block(thought, last[chat.content])


def think_block(thought: str, answer: str) -> str:
    """The answer with the thought before it, as models write it whose templates leave it in the text."""
    return f"<think>\n{thought}\n</think>\n\n{answer}"
