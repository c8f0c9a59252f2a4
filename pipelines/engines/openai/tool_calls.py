"""Calls of tools in OpenAI's protocol: arguments are JSON text there, and calls are apart from what is said."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from synth.pipelines.engines import Message

__all__ = ["with_calls_as_text", "written_calls"]


def with_calls_as_text(message: Message) -> Mapping[str, Any]:
    """A message with the arguments of its calls as JSON text."""
    if not message.get("tool_calls"):
        return message
    calls = [
        {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def written_calls(calls: Sequence[Any]) -> str:
    """The calls that a server gives apart, as text: each in JSON between `<tool_call>` and `</tool_call>`."""
    functions = [
        call["function"] for call in calls if isinstance(call, dict) and isinstance(call.get("function"), dict)
    ]
    return "\n".join(f"<tool_call>\n{json.dumps(function)}\n</tool_call>" for function in functions)
