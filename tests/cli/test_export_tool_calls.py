"""Chats with calls of tools in the shapes that trainers read."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from synth.pipelines.engines.models import TINY_FOLDER
from synth.schemas.errors import InputError
from tests.command import synth
from tests.counting_server import counting_server
from tests.rows import write_rows

TOOL = {"name": "find", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}
TURNS = [
    {"role": "user", "content": "Find 1, 2 and 3."},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "find", "arguments": {"x": x}}} for x in (1, 2)],
    },
    {"role": "tool", "content": "one"},
    {"role": "tool", "content": "two"},
]
TASKS: list[dict[str, Any]] = [
    {"id": "step", "tools": [TOOL], "messages": TURNS, "calls": [{"name": "find", "arguments": {"x": 3}}]},
    {"id": "none", "tools": [TOOL], "messages": "Who are you?", "calls": []},
]


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    write_rows(tmp_path / "tasks.jsonl", TASKS)
    with counting_server(says=lambda seed: "[find(x=3)]" if seed % 2 else "I am a model.") as server:
        synth("refine", "tools", tmp_path / "tasks.jsonl", tmp_path / "samples", "--base-url", server.url)
    synth("refine", "tools", "select", tmp_path / "samples", tmp_path / "lessons")
    return tmp_path / "lessons"


def exported(lessons: Path, *options: str) -> list[dict[str, Any]]:
    file = lessons.parent / "out.jsonl"
    synth("export", lessons, file, "--where", "kind = 'call'", *options)
    return list(map(json.loads, file.read_text().splitlines()))


def test_calls_and_tools_are_objects_in_openais_layout(lessons: Path) -> None:
    step, none = exported(lessons, "--as", "tool-calls")
    assert list(step) == ["messages", "tools"]
    assert [turn["role"] for turn in step["messages"]] == ["user", "assistant", "tool", "tool", "assistant"]
    asked, *results, made = step["messages"][1:]
    assert [call["id"] for call in asked["tool_calls"]] == [result["tool_call_id"] for result in results]
    (call,) = made["tool_calls"]
    assert (call["type"], call["function"]) == ("function", {"name": "find", "arguments": {"x": 3}})
    (tool,) = step["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "find")
    assert none["messages"][-1] == {"role": "assistant", "content": "[]"}


TEMPLATE = (
    "{% for tool in tools %}{{ tool.function.name }} {% endfor %}{% for message in messages %}{{ message.role }}: "
    "{{ message.content }}{% for call in message.tool_calls %}{{ call.function | tojson }}{% endfor %}\n"
    "{% endfor %}"
)


def is_formatted(text: str) -> bool:
    shown = 'assistant: {"name": "find", "arguments": {"x": 3}}'
    return text.startswith("find user: Find 1, 2 and 3.") and text.rstrip().endswith(shown)


def test_a_chat_template_formats_what_parquet_keeps(lessons: Path) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    synth("export", lessons, lessons.parent / "out.parquet", "--as", "tool-calls", "--where", "task_id = 'step'")
    rows = datasets.Dataset.from_parquet(str(lessons.parent / "out.parquet"), cache_dir=str(lessons.parent / "cache"))
    ((text,), _) = render_jinja_template([rows[0]["messages"]], tools=rows[0]["tools"], chat_template=TEMPLATE)
    assert is_formatted(text)


def test_trl_formats_the_rows(lessons: Path) -> None:
    import trl
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    tokenizer.chat_template = TEMPLATE
    step, _ = exported(lessons, "--as", "tool-calls")
    assert trl.is_conversational(step)
    assert is_formatted(trl.apply_chat_template(step, tokenizer, tools=step["tools"])["text"])


def test_llama_factory_reads_roles_of_its_own_and_tools_as_text(lessons: Path) -> None:
    step, none = exported(lessons, "--as", "llama-factory")
    turns = step["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "function_call", "observation", "function_call"]
    assert turns[2]["value"] == "one\n\ntwo"
    assert json.loads(turns[3]["value"]) == [{"name": "find", "arguments": {"x": 3}}]
    assert json.loads(step["tools"])[0]["function"]["name"] == "find"
    assert [turn["from"] for turn in none["conversations"]] == ["human", "gpt"]
    listed = json.loads((lessons.parent / "dataset_info.json").read_text())["out"]
    assert listed["columns"] == {"messages": "conversations", "tools": "tools"}
    assert listed["tags"]["function_tag"] == "function_call"


def test_users_and_models_alternate_for_llama_factory_where_an_answer_is_revised(lessons: Path) -> None:
    file = lessons.parent / "all.jsonl"
    synth("export", lessons, file, "--as", "llama-factory")
    for row in map(json.loads, file.read_text().splitlines()):
        odd, even = row["conversations"][::2], row["conversations"][1::2]
        assert {turn["from"] for turn in odd} <= {"human", "observation"}
        assert {turn["from"] for turn in even} <= {"gpt", "function_call"}
        assert len(odd) == len(even)


def test_plain_messages_have_no_tools_apart(lessons: Path) -> None:
    step, _ = exported(lessons, "--as", "messages")
    assert list(step) == ["messages"]
    assert [sorted(turn) for turn in step["messages"]] == [["content", "role"]] * len(step["messages"])


def test_other_rows_are_refused_by_name(tmp_path: Path, lessons: Path) -> None:
    with pytest.raises(InputError, match="has no columns chat and functions"):
        synth("export", lessons.parent / "samples", tmp_path / "no.jsonl", "--as", "tool-calls")
    write_rows(tmp_path / "bad.jsonl", [{"chat": "[]", "functions": "[]"}, {"chat": "hello", "functions": "[]"}])
    synth("import", tmp_path / "bad.jsonl", tmp_path / "bad")
    with pytest.raises(InputError, match=r"row 2 of .*bad has no turns in chat"):
        synth("export", tmp_path / "bad", tmp_path / "no.jsonl", "--as", "tool-calls")
