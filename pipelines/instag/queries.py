"""The queries of a row: its instruction, or the user turns of its chat."""

from collections.abc import Mapping, Sequence
from typing import Any

from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Reject, Row
from synth.schemas.errors import InputError
from synth.schemas.instructions import NAMES as INPUTS

__all__ = ["queries_of"]

# Usual column names of chats and instructions. A dataset of chats may also have the first turn as an instruction.
INSTRUCTIONS = ("instruction", "query", "prompt", "question")
WHOLE = ("text", "content")
NAMES = ("messages", "conversations", "conversation", *INSTRUCTIONS, *WHOLE)
USERS = ("user", "human")


def queries_of(row: Row, named: Sequence[str]) -> list[str]:
    """The text of each user turn in order, blank if a turn has none; a plain instruction is one turn.

    The source is the first non-empty column of this row among `named`, or else among the usual names, so one table can
    mix chats and plain instructions. An instruction includes its input.
    Raises `Reject` (`no_query`) if no turn has text, `InputError` if the column is ambiguous.
    """
    columns = _columns(row, named)
    column = next((name for name in columns if row[name]), None)
    if column is None:
        raise Reject("no_query", f"there is nothing in {' or '.join(columns)}")
    value = row[column]
    if isinstance(value, str):
        queries = [with_its_input(row, column) if _has_an_input(row, column) else value]
    elif isinstance(value, list) and all(isinstance(message, Mapping) for message in value):
        queries = [_text(message) for message in value if _role(message).casefold() in USERS]
    else:
        raise Reject("no_query", f"this is neither a text nor the messages of a chat: {value!r:.200}")
    if not any(query.strip() for query in queries):
        raise Reject("no_query", _blank_detail(value))
    return queries


def _has_an_input(row: Row, column: str) -> bool:
    """Whether the row's input, if any, belongs to the text in `column`: only if that is the instruction.

    Alpaca also has the whole prompt in `text`, which already contains the input.
    """
    owner = next((name for name in INSTRUCTIONS if row.get(name)), column)
    return column == owner and column not in (*WHOLE, *INPUTS)


def _columns(row: Row, named: Sequence[str]) -> Sequence[str]:
    others = [name for name in row if name != "id"]
    for name in named:
        if name not in others:
            raise InputError(f"--text {name}: the input has no column {name}, only {', '.join(others)}")
    columns = named or [name for name in NAMES if name in others] or others
    if len(columns) == 1 or named or set(columns) & set(NAMES):
        return columns
    raise InputError(f"the input has the columns {', '.join(row)}: name the one with the instructions with --text NAME")


def _role(message: Mapping[str, Any]) -> str:
    return str(message.get("role") or message.get("from") or "")


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or message.get("value")
    if isinstance(content, list):
        # Content parts may include images.
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _blank_detail(value: str | list[Mapping[str, Any]]) -> str:
    if isinstance(value, str):
        return "the instruction is blank"
    roles = ", ".join(dict.fromkeys(_role(message) or "none" for message in value))
    return f"no user says anything in {len(value)} messages, whose roles are: {roles}"
