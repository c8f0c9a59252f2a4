"""The turns of a conversation with tools: read from a dataset, and written for a prompt or a chat template."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from typing import Any

from synth.pipelines.engines import Message
from synth.pipelines.runtime.stage import Reject
from synth.pipelines.tools.calls import ToolCall, calls_in, parsed, written

__all__ = ["ToolTurn", "alternating", "expected_calls", "for_templates", "read_turns", "with_request"]

# What datasets call the roles.
ROLES = {
    **{role: role for role in ("system", "user", "assistant", "tool")},
    "human": "user",
    **dict.fromkeys(("gpt", "model", "function_call"), "assistant"),
    **dict.fromkeys(("function", "observation", "ipython", "tool_response"), "tool"),
}


@dataclass(frozen=True)
class ToolTurn:
    """What one of system, user, assistant and tool says, and the calls that an assistant makes."""

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()

    @property
    def spoken(self) -> str:
        """All of it as text, calls in JSON."""
        return "\n".join(filter(None, (self.content, written(self.calls) if self.calls else "")))


def read_turns(text: str, known: Collection[str]) -> tuple[ToolTurn, ...]:
    """The turns of a chat in JSON, or one of the user, who says the text. `known` are the names of tools.

    A turn has `role` and `content` (or `from` and `value`), and perhaps `tool_calls`. Raises `Reject`: `no_question`
    if neither a user nor a tool speaks last, `bad_calls`.
    """
    try:
        given = parsed(text)
    except ValueError:
        given = text
    while isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
        # BFCL's questions are lists of chats.
        (given,) = given
    if isinstance(given, list) and all(isinstance(turn, dict) for turn in given):
        turns = tuple(_turn(turn, known) for turn in given)
    else:
        # A text may be JSON by chance.
        turns = (ToolTurn("user", given if isinstance(given, str) else text),)
    if not turns or turns[-1].role not in ("user", "tool") or not turns[-1].content.strip():
        raise Reject("no_question", "neither a user nor a tool has the last word")
    return turns


def expected_calls(value: Any, known: Collection[str]) -> tuple[ToolCall, ...]:
    """The calls in a column of them, as JSON values or JSON text. Raises `Reject` (`bad_calls`)."""
    try:
        calls = calls_in(parsed(value) if isinstance(value, str) else value, known)
    except (ValueError, Reject):
        calls = None
    if calls is None:
        raise Reject("bad_calls", f"these are not calls in JSON, each with a name and arguments: {value!r:.200}")
    return calls


def with_request(turns: Sequence[ToolTurn], request: str) -> tuple[ToolTurn, ...]:
    """The turns with a further request, in the user's last turn if that is the last one."""
    *earlier, last = turns
    if last.role == "user":
        return *earlier, replace(last, content=f"{last.content}\n\n{request}")
    return *turns, ToolTurn("user", request)


def alternating(messages: Sequence[Message]) -> Iterator[Message]:
    """Messages of one role in a row as one: many chat templates refuse several."""
    for role, together in groupby(messages, key=lambda message: message["role"]):
        yield Message(role=role, content="\n\n".join(message["content"] for message in together))


def for_templates(turns: Sequence[ToolTurn]) -> tuple[Message, ...]:
    """Messages whose calls and results are apart, in the layout that chat templates and OpenAI's API read."""
    numbers, open_calls = count(1), list[str]()
    messages = []
    for turn in turns:
        message = Message(role=turn.role, content=turn.content)
        if turn.calls:
            open_calls = [f"call_{next(numbers)}" for _ in turn.calls]
            message["tool_calls"] = tuple(
                {"id": name, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for name, call in zip(open_calls, turn.calls, strict=True)
            )
        elif turn.role == "tool" and open_calls:
            message["tool_call_id"] = open_calls.pop(0)
        messages.append(message)
    return tuple(messages)


def _turn(given: Mapping[str, Any], known: Collection[str]) -> ToolTurn:
    role = str(given.get("role") or given.get("from") or "").casefold()
    if role not in ROLES:
        raise Reject("no_question", f"a turn is of {role or 'no role'}, which is none of {', '.join(ROLES)}")
    content = given.get("content") or given.get("value") or ""
    if role == "function_call":
        return ToolTurn(ROLES[role], "", expected_calls(content, known))
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = "\n".join(str(part["text"]) for part in content if "text" in part)
    # The result of a tool may be any JSON value.
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return ToolTurn(ROLES[role], text, expected_calls(given.get("tool_calls") or [], known))
