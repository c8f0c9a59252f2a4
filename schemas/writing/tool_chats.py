"""Chats with calls of tools, in the shapes that trainers read.

TRL and Axolotl read `messages` and `tools` in OpenAI's layout, with objects as arguments. LLaMA-Factory reads
ShareGPT's turns with the roles `function_call` and `observation`, whose text is JSON, and the tools as JSON text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.storable import is_text

__all__ = ["CHAT", "FUNCTIONS", "is_tool_chats", "tool_chats"]

# Columns of JSON text: the turns of a chat, and its tools, both in OpenAI's layout.
CHAT, FUNCTIONS = "chat", "functions"
OPENAI = pa.schema([("messages", pa.json_()), ("tools", pa.json_())])
SHAREGPT = pa.schema(
    [("conversations", pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))), ("tools", pa.string())]
)
SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
ROWS_AT_ONCE = 4096


def is_tool_chats(schema: pa.Schema) -> bool:
    """Whether rows of this schema are chats with tools apart, as `refine tools select` writes them."""
    return all(name in schema.names and is_text(schema.field(name).type) for name in (CHAT, FUNCTIONS))


def tool_chats(table: pa.Table, path: str, *, sharegpt: bool) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The chats of a table in OpenAI's layout, or with `sharegpt` in that of LLaMA-Factory.

    Raises `InputError`, which names `path`, if the columns are missing or not what they should be.
    """
    if not is_tool_chats(table.schema):
        raise InputError(
            f"{path} has no columns {CHAT} and {FUNCTIONS} with the turns and the tools as JSON text, as "
            f"`synth refine tools select` writes them, only {', '.join(table.column_names)}"
        )
    schema = SHAREGPT if sharegpt else OPENAI
    return schema, _tables(table.select([CHAT, FUNCTIONS]), path, schema)


def _tables(table: pa.Table, path: str, schema: pa.Schema) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        part = table.slice(start, ROWS_AT_ONCE)
        chats = [_turns(row, path, number) for number, row in enumerate(part.to_pylist(), start + 1)]
        if schema is OPENAI:
            yield pa.table([_as_json(part[name]) for name in (CHAT, FUNCTIONS)], schema=schema)
        else:
            tools = part[FUNCTIONS].to_pylist()
            rows = [
                {"conversations": _sharegpt(turns), "tools": text} for turns, text in zip(chats, tools, strict=True)
            ]
            yield pa.Table.from_pylist(rows, schema)


def _as_json(texts: pa.ChunkedArray) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.json_(), texts.combine_chunks().cast(pa.string()))


def _turns(row: Mapping[str, Any], path: str, number: int) -> list[dict[str, Any]]:
    try:
        turns: list[dict[str, Any]] = orjson.loads(row[CHAT])
        are_turns = all(turn["role"] in SHAREGPT_ROLES and isinstance(turn["content"], str) for turn in turns)
        if are_turns and isinstance(orjson.loads(row[FUNCTIONS]), list):
            return turns
    except (ValueError, TypeError, KeyError):
        pass
    raise InputError(f"row {number} of {path} has no turns in {CHAT}, or no tools in {FUNCTIONS}, as lists in JSON")


def _sharegpt(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Calls become a turn `function_call`. LLaMA-Factory wants the model to speak every other time: what users and
    tools say in between is one turn.
    """
    made: list[dict[str, str]] = []
    for turn in turns:
        role, text = SHAREGPT_ROLES[turn["role"]], turn["content"]
        if turn.get("tool_calls"):
            role, text = "function_call", orjson.dumps([call["function"] for call in turn["tool_calls"]]).decode()
        if made and {role, made[-1]["from"]} <= {"human", "observation"}:
            made[-1]["value"] += f"\n\n{text}"
        else:
            made.append({"from": role, "value": text})
    return made
