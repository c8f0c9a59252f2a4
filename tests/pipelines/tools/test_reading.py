"""Calls, tools and conversations are read in the forms that models and datasets have, and bad ones are named."""

import json
from typing import Any

import pytest

from synth.pipelines.runtime.stage import Reject
from synth.pipelines.tools.calls import ToolCall, read_calls, written
from synth.pipelines.tools.task import ToolTask
from synth.pipelines.tools.toolbox import Toolbox
from synth.pipelines.tools.turns import read_turns

FIND = {"name": "find", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}
KNOWN = frozenset({"find", "Get Trends", "maps.route"})
ONE = (ToolCall("find", {"x": 1}),)


@pytest.mark.parametrize(
    "reply",
    [
        '{"name": "find", "arguments": {"x": 1}}',
        '[{"name": "find", "arguments": {"x": 1}}]',
        '[{"name": "find", "parameters": {"x": 1}}]',
        '[{"name": "find", "arguments": "{\\"x\\": 1}"}]',
        '[{"type": "function", "function": {"name": "find", "arguments": {"x": 1}}}]',
        '{"tool_calls": [{"function": {"name": "find", "arguments": {"x": 1}}}]}',
        '[{"find": {"x": 1}}]',
        '```json\n[{"name": "find", "arguments": {"x": 1}}]\n```',
        'I looked at {"a": 1} first.\n{"name": "find", "arguments": {"x": 1}}',
        '<tool_call>\n{"name": "find", "arguments": {"x": 1}}\n</tool_call>',
        '<tool_call>{"name": "find", "arguments": {"x": 1}}',
        "find(x=1)",
        "[find(x=1)]",
        "```python\nfind(x=1)\n```",
        "So: [find(x=1)].",
    ],
)
def test_one_call_in_many_forms(reply: str) -> None:
    assert read_calls(reply, KNOWN) == ONE


@pytest.mark.parametrize(
    "reply",
    [
        '{"name": "find", "arguments": {"x": 1}}\n{"name": "find", "arguments": {"x": 2}}',
        '<tool_call>{"name": "find", "arguments": {"x": 1}}</tool_call>\n'
        '<tool_call>{"name": "find", "arguments": {"x": 2}}</tool_call>',
        "[find(x=1), find(x=2)]",
        "find(x=1)\nfind(x=2)",
    ],
)
def test_several_calls_keep_their_order(reply: str) -> None:
    assert read_calls(reply, KNOWN) == (*ONE, ToolCall("find", {"x": 2}))


def test_names_may_have_blanks_and_dots_and_texts_may_have_brackets() -> None:
    reply = """[Get Trends(topic="a) b (c", near=[1, -2.5], all=true), maps.route(to={'a': None})]"""
    assert read_calls(reply, KNOWN) == (
        ToolCall("Get Trends", {"topic": "a) b (c", "near": [1, -2.5], "all": True}),
        ToolCall("maps.route", {"to": {"a": None}}),
    )


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "[]",
        "It rains (often).",
        "See [1] and {x}.",
        '{"answer": 42}',
        json.dumps(FIND | {"description": "It finds."}),
    ],
)
def test_what_is_no_call_is_not_taken_for_one(reply: str) -> None:
    assert read_calls(reply, KNOWN) == ()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("<tool_call>find x</tool_call>", "not_a_call"),
        ('<tool_call>{"name": "find", "arguments": {"x": NaN}}</tool_call>', "not_a_call"),
        ('{"name": "find", "arguments": [1]}', "bad_arguments"),
        ('{"name": "find", "arguments": "x = 1"}', "bad_arguments"),
        ("find(1)", "bad_arguments"),
        ("find(x=1, x=2)", "bad_arguments"),
        ("find(**{'x': 1})", "bad_arguments"),
        ("find(x=print('here'))", "bad_arguments"),
        ("find(x=1e999)", "bad_arguments"),
        ('{"name": "find", "arguments": {"x": "\\ud800"}}', "bad_arguments"),
        ("find(x=1", "bad_arguments"),
    ],
)
def test_a_call_that_cannot_be_made_has_a_reason(reply: str, reason: str) -> None:
    with pytest.raises(Reject) as rejection:
        read_calls(reply, KNOWN)
    assert rejection.value.reason == reason


@pytest.mark.parametrize("reply", ["[" * 50_000, '{"a":' * 20_000, "(" * 50_000])
def test_a_deep_reply_has_no_calls(reply: str) -> None:
    assert read_calls(reply, KNOWN) == ()


def test_arguments_that_are_too_deep_cannot_be_read() -> None:
    with pytest.raises(Reject, match="bad_arguments"):
        read_calls(f"find(x={'[' * 5_000}{']' * 5_000})", KNOWN)


def test_what_is_written_is_read_again() -> None:
    calls = (ToolCall("find", {"x": [1, "ü", None, True]}), ToolCall("Get Trends", {}))
    assert read_calls(written(calls), KNOWN) == calls


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "string", "default": "a"}}},
        {"type": "dict", "properties": {"x": {"type": "int"}, "y": {"type": "any", "default": "a"}}},
        # xLAM's, which are the properties alone.
        {"x": {"type": "int", "description": "A number."}, "y": {"type": "str, optional", "default": "a"}},
    ],
)
def test_parameters_of_published_tools_become_a_schema(parameters: dict[str, Any]) -> None:
    box = Toolbox.read(json.dumps([{"name": "find", "parameters": parameters}]))
    assert box.fault([ToolCall("find", {"x": 1})]) is None
    assert box.fault([ToolCall("find", {"x": "1"})]) == ("bad_arguments", "x: '1' is not of type 'integer'")
    assert box.fault([ToolCall("find", {"z": 1})]) is not None
    assert box.same([ToolCall("find", {"x": 1})], [ToolCall("find", {"x": 1, "y": "a"})])
    (tool,) = box.specified
    assert tool["function"]["parameters"]["type"] == "object"


def test_properties_may_be_called_like_words_of_schemas() -> None:
    properties = {"type": {"type": "str"}, "required": {"type": "bool"}, "default": {"type": "int"}}
    box = Toolbox.read(json.dumps([{"name": "find", "parameters": {"type": "dict", "properties": properties}}]))
    assert box.fault([ToolCall("find", {"type": "a", "required": True, "default": 3})]) is None
    assert box.fault([ToolCall("find", {"default": "3"})]) is not None


def test_a_schema_that_lies_elsewhere_is_not_fetched() -> None:
    remote = {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    box = Toolbox.read(json.dumps([{"name": "find", "parameters": remote}]))
    assert box.fault([ToolCall("find", {"x": 1})]) is None


GOOD = {"tools": json.dumps([FIND]), "turns": "Find 1.", "calls": '[{"name": "find", "arguments": {"x": 1}}]'}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("tools", "not JSON", "bad_tools"),
        ("tools", '[{"description": "It has no name."}]', "bad_tools"),
        ("tools", '[{"name": "find", "parameters": [1]}]', "bad_tools"),
        (
            "tools",
            '[{"name": "find", "parameters": {"type": "object", "properties": {"x": {"type": 3}}}}]',
            "bad_tools",
        ),
        ("calls", "find(x=1)", "bad_calls"),
        ("calls", '["find"]', "bad_calls"),
        ("calls", '[{"name": "find", "arguments": [1]}]', "bad_calls"),
        ("turns", "  ", "no_question"),
        ("turns", "[]", "no_question"),
        ("turns", '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]', "no_question"),
        ("turns", '[{"role": "narrator", "content": "a"}]', "no_question"),
    ],
)
def test_a_bad_row_is_named(column: str, value: str, reason: str) -> None:
    assert ToolTask.read(GOOD).calls == ONE
    with pytest.raises(Reject) as rejection:
        ToolTask.read({**GOOD, column: value})
    assert rejection.value.reason == reason


def test_a_conversation_is_read_in_either_layout() -> None:
    openai = [
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": [{"type": "text", "text": "Find 1."}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "find", "arguments": '{"x": 1}'}}]},
        {"role": "tool", "content": "{}"},
    ]
    sharegpt = [
        {"from": "system", "value": "Be quick."},
        {"from": "human", "value": "Find 1."},
        {"from": "function_call", "value": '{"name": "find", "arguments": {"x": 1}}'},
        {"from": "observation", "value": "{}"},
    ]
    one, other = (read_turns(json.dumps(turns), KNOWN) for turns in (openai, sharegpt))
    assert one == other
    assert [(turn.role, turn.content, turn.calls) for turn in one][2] == ("assistant", "", ONE)


@pytest.mark.parametrize("text", ["Find 1.", '"Find 1."', '[[{"role": "user", "content": "Find 1."}]]'])
def test_a_question_alone_is_a_conversation(text: str) -> None:
    (turn,) = read_turns(text, KNOWN)
    assert (turn.role, turn.content) == ("user", "Find 1.")


def test_a_question_may_look_like_json() -> None:
    (turn,) = read_turns("[3, 1, 2]", KNOWN)
    assert turn.content == "[3, 1, 2]"
