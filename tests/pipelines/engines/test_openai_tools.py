"""Tools through a server: how they are asked with, and how calls come back."""

import json
from typing import Any

import pytest

from synth.pipelines.engines import Message, Request, Sampling
from synth.pipelines.engines.openai import OpenAIEngine, Server
from synth.pipelines.engines.openai.answers import read_answer
from synth.pipelines.engines.openai.fields import request_fields
from synth.schemas.errors import UsageError

TOOLS = ({"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}},)
CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": {"x": "ü"}}}
CHAT = (
    Message(role="user", content="Find it."),
    Message(role="assistant", content="", tool_calls=(CALL,)),
    Message(role="tool", content="found", tool_call_id="call_1"),
)


def body(request: Request, *, vllm: bool) -> dict[str, Any]:
    engine = OpenAIEngine(Server("http://127.0.0.1:9/v1"), "m")
    engine._is_vllm = vllm
    return engine._body(request, 16)


def test_tools_are_part_of_the_request_and_arguments_are_text() -> None:
    sent = body(Request(CHAT, Sampling(), tools=TOOLS), vllm=False)
    assert sent["tools"] == TOOLS
    assert "tool_choice" not in sent
    user, assistant, result = sent["messages"]
    assert (user, result) == (CHAT[0], CHAT[2])
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"x": "ü"}


def test_vllm_is_told_to_leave_calls_in_the_text() -> None:
    assert body(Request(CHAT, Sampling(), tools=TOOLS), vllm=True)["tool_choice"] == "none"


@pytest.mark.parametrize("vllm", [False, True])
def test_a_request_without_tools_says_nothing_of_them(vllm: bool) -> None:
    assert not {"tools", "tool_choice"} & body(Request(CHAT[:1], Sampling()), vllm=vllm).keys()


@pytest.mark.parametrize(("content", "before"), [(None, ""), ("I look.", "I look.\n")])
def test_calls_that_come_apart_become_part_of_the_text(content: str | None, before: str) -> None:
    function = {"name": "find", "arguments": '{"x": 1}'}
    message = {"role": "assistant", "content": content, "tool_calls": [{"id": "a", "function": function}] * 2}
    answer = read_answer({"choices": [{"message": message, "finish_reason": "tool_calls"}]}, 1)
    (completion,) = answer.completions
    block = f"<tool_call>\n{json.dumps(function)}\n</tool_call>"
    assert completion.text == f"{before}{block}\n{block}"
    assert completion.finish_reason == "stop"


def test_tools_cannot_be_an_argument_of_the_engine() -> None:
    with pytest.raises(UsageError, match="--engine-arg tools"):
        request_fields({"tools": []})
