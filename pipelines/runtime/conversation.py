"""The conversation in a row of any dataset: a chat, or a prompt and its response, under their usual names."""

from collections.abc import Sequence

import pyarrow as pa

from synth.pipelines.engines import Message
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Reject, Row
from synth.schemas.errors import InputError
from synth.schemas.storable import is_text
from synth.schemas.writing.shapes import MESSAGES, PROMPTS, RESPONSES, SYSTEMS

__all__ = ["asked_in", "check_conversations", "conversation_in"]


def check_conversations(schema: pa.Schema) -> None:
    """Raises `InputError` if rows of this schema have neither a chat nor a prompt with a response, as text."""
    if MESSAGES.is_in(schema):
        return
    for usual in (PROMPTS, RESPONSES):
        name = next((name for name in usual if name in schema.names), None)
        if name is None:
            raise InputError(
                f"the input has no column {MESSAGES.column} with a chat, and none of {', '.join(usual)}, only "
                f"{', '.join(schema.names)}: name the one to read with --column {usual[0]}=NAME"
            )
        if not is_text(schema.field(name).type):
            raise InputError(f"{name} is {schema.field(name).type} in the input, where text is needed")


def conversation_in(row: Row) -> tuple[Message, ...]:
    """The chat in `messages`, or else the prompt, with its input and system prompt, and the response.

    Raises `Reject` (`no_response`) if there is none, or nothing that it answers.
    """
    if isinstance(turns := row.get(MESSAGES.column), list):
        chat = tuple(Message(role=turn["role"], content=turn["content"] or "") for turn in turns)
    else:
        asked, answered = (_first(row, usual) for usual in (PROMPTS, RESPONSES))
        chat = (
            *asked_in(row, asked),
            *([Message(role="assistant", content=row[answered])] if answered else []),
        )
    roles = [message["role"] for message in chat]
    if roles[-1:] != ["assistant"] or "user" not in roles:
        raise Reject("no_response", f"no answer comes last: the turns are of {', '.join(roles) or 'nobody'}")
    return chat


def asked_in(row: Row, column: str | None) -> tuple[Message, ...]:
    """What a response of the row answers: its system prompt, if it has one, and the prompt in `column` with its input.

    Without a column, the system prompt alone.
    """
    system = _first(row, SYSTEMS)
    return (
        *([Message(role="system", content=row[system])] if system else []),
        *([Message(role="user", content=with_its_input(row, column))] if column else []),
    )


def _first(row: Row, usual: Sequence[str]) -> str | None:
    """The first of these columns that the row has; None if its text is null or blank."""
    name = next((name for name in usual if name in row), None)
    return name if name and (row[name] or "").strip() else None
