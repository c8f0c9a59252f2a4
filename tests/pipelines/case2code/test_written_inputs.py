import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.case2code.inputs import FOLDER, Inputs
from synth.pipelines.case2code.literals import read_call
from synth.pipelines.case2code.replies import examples_in
from synth.pipelines.engines import Answer
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Unanswered
from synth.pipelines.runtime.text.fences import without_fence
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import ScriptedTools, process

SHARED = Path(__file__).parents[4] / "shared" / "data"
CODE = "def repeat(word, times=2):\n    return word.upper() * times\n"
ROW: dict[str, Any] = {"id": "s/repeat", "source_id": "s", "code": CODE, "func_name": "repeat"}


def reply(*items: str) -> str:
    return "Both are plain.\n```python\nexamples = [\n" + "".join(f"    {item},\n" for item in items) + "]\n```\nDone."


GOOD = reply("dict(word='a', times=1)", "dict(word='b')", "dict(word='c', times=3)")


def test_the_defaults_are_those_of_the_paper() -> None:
    tools = ScriptedTools([GOOD])
    rows, rejected, _ = process(Inputs(), ROW, tools)
    ((prompt, sampling, samples),) = tools.requests
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.2, 0.95, 2048)
    assert samples == range(1)
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user"]  # type: ignore[index]
    assert prompt[-1]["content"] == f"```python\n{CODE}```"  # type: ignore[index]
    assert rejected == []
    assert rows == [
        {
            "id": "s/repeat",
            "code": CODE,
            "func_name": "repeat",
            "example_inputs": ["dict(word='a', times=1)", "dict(word='b')", "dict(word='c', times=3)"],
            "input_origins": ["model"] * 3,
            "model": "scripted",
            "tries": 1,
            "reasoning": None,
        }
    ]


def test_the_plain_prompt_ends_at_the_answer() -> None:
    tools = ScriptedTools([GOOD])
    process(Inputs(prompt=Prompt.load("inputs-plain", FOLDER)), ROW, tools)
    ((prompt, _, _),) = tools.requests
    assert isinstance(prompt, str)
    assert prompt.endswith(f"Function:\n```python\n{CODE}```\nArguments:")


def test_unusable_calls_are_filtered_individually() -> None:
    script = reply(
        "dict(word='a')",
        "dict(word=input())",
        "dict(word={[]})",
        "repeat('a')",
        "dict(word='a', many=2)",
        "dict(times=2)",
        "{'word': 'a'}",
        "dict(word='b')",
    )
    rows, rejected, _ = process(Inputs(), ROW, ScriptedTools([script]))
    assert rows[0]["example_inputs"] == ["dict(word='a')", "dict(word='b')"]
    assert [(one.row["id"], one.row["example_inputs"], one.reason) for one in rejected] == [
        ("s/repeat/call-0", ["dict(word=input())"], "not_a_literal"),
        ("s/repeat/call-1", ["dict(word={[]})"], "not_a_value"),
        ("s/repeat/call-2", ["repeat('a')"], "not_a_call"),
        ("s/repeat/call-3", ["dict(word='a', many=2)"], "unknown_argument"),
        ("s/repeat/call-4", ["dict(times=2)"], "missing_argument"),
        ("s/repeat/call-5", ["dict(word='a')"], "duplicate_input"),
    ]


def test_retries_add_calls_until_there_are_enough() -> None:
    tools = ScriptedTools(["I cannot.", reply("dict(word='a')"), reply("dict(word='a')", "dict(word='b')")])
    rows, _, _ = process(Inputs(), ROW, tools)
    assert [samples for _, _, samples in tools.requests] == [range(1), range(1, 2), range(2, 3)]
    assert rows[0]["example_inputs"] == ["dict(word='a')", "dict(word='b')"]
    assert rows[0]["tries"] == 3


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([""] * 3, "empty_answer"),
        (["```\n```"] * 3, "no_code"),
        (["Sorry, no."] * 3, "not_python"),
        (["```python\nx = 1\n```"] * 3, "no_examples"),
        ([reply("dict(word='a')")] * 3, "too_few_inputs"),
    ],
)
def test_a_function_is_rejected_for_its_last_reply(script: list[str], reason: str) -> None:
    _, _, reject = process(Inputs(), ROW, ScriptedTools(script))
    assert reject is not None
    assert reject.reason == reason


def test_surplus_calls_are_dropped() -> None:
    script = reply(*(f"dict(word='{number}')" for number in range(12)))
    rows, _, _ = process(Inputs(), ROW, ScriptedTools([script]))
    assert len(rows[0]["example_inputs"]) == 10


def test_types_needs_no_model_and_is_deterministic() -> None:
    tools = ScriptedTools([])
    stage = Inputs(inputs_from="types")
    (row,), _, _ = process(stage, ROW, tools)
    assert tools.requests == []
    assert row["model"] is None
    assert row["tries"] == 0
    assert len(set(row["example_inputs"])) == 10
    assert set(row["input_origins"]) == {"types"}
    assert all(isinstance(read_call(call)["word"], str) for call in row["example_inputs"])
    assert process(stage, ROW, ScriptedTools([]))[0] == [row]


def test_both_adds_drawn_calls_to_those_of_the_model() -> None:
    (row,), _, _ = process(Inputs(inputs_from="both"), ROW, ScriptedTools([GOOD]))
    assert row["input_origins"] == ["model"] * 3 + ["types"] * 7
    assert len(set(row["example_inputs"])) == 10
    (row,), _, _ = process(Inputs(inputs_from="both"), ROW, ScriptedTools(["no"] * 3))
    assert row["input_origins"] == ["types"] * 10


@pytest.mark.parametrize(
    "code",
    [
        "def f(node):\n    return node.children[0]",
        "def f(nodes):\n    return [node.name for node in nodes]",
        "def f(function, x):\n    return function(x)",
        "from datetime import date\ndef f(day: date):\n    return day",
        "from typing import Callable\ndef f(g: Callable[[int], int]):\n    return 1",
    ],
)
def test_functions_of_objects_are_rejected_without_a_request(code: str) -> None:
    tools = ScriptedTools([])
    _, _, reject = process(Inputs(), {**ROW, "code": code, "func_name": None}, tools)
    assert reject is not None
    assert reject.reason == "needs_object"
    assert tools.requests == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [("def f(x:\n", "syntax_error"), ("x = 1", "no_function"), ("def g(x):\n    return x", "no_function")],
)
def test_code_without_the_function_is_rejected(code: str, reason: str) -> None:
    _, _, reject = process(Inputs(), {**ROW, "code": code}, ScriptedTools([]))
    assert reject is not None
    assert reject.reason == reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs_from": "thin air"}, "--inputs-from thin air"),
        ({"min_inputs": 11}, "--min-inputs 11"),
        ({"tries": 0}, "--tries 0"),
    ],
)
def test_invalid_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Inputs(**options)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na\n```\n```python\nb\n```", "a\n"),
        ("```\na\n```\nthen\n```python\nb\n```", "b\n"),
        ("Here:\n```py\na\n", "a\n"),
        ("```\na\n```", "a\n"),
        ("a", "a"),
        ("  ```Python\n  a\n  ```", "  a\n"),
    ],
)
def test_the_code_of_a_reply(text: str, code: str) -> None:
    assert without_fence(text) == code


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("examples = [dict(a=1)]", 1),
        ("[dict(a=1), dict(a=2)]", 2),
        (
            "examples: list = [dict(a=1)]\nexamples += [dict(a=2)]\nexamples.append(dict(a=3))\nexamples.extend([{}])",
            4,
        ),
        ("import math\nexamples = []\nprint(examples)", 0),
    ],
)
def test_the_list_of_a_reply(text: str, count: int) -> None:
    assert len(examples_in(text, is_cut=False)) == count


def test_complete_items_of_a_cut_reply_are_used() -> None:
    cut = "```python\nexamples = [\n    dict(a=(1, 2)),\n    dict(a='x'),\n    dict(a='y"
    assert len(examples_in(cut, is_cut=True)) == 2
    with pytest.raises(Reject, match="not_python"):
        examples_in(cut, is_cut=False)


def test_all_published_replies_are_parsed() -> None:
    path = SHARED / "case2code-inputs-raw.jsonl"
    if not path.exists():
        pytest.skip("the published replies are not at hand")
    for line in path.read_text().splitlines():
        row = json.loads(line)
        code = row["prompt"].rpartition("```python\n")[2].partition("```")[0]
        function = {"id": row["gen_answer_id"], "code": code, "func_name": None}
        (made,), filtered, _ = process(Inputs(), function, ScriptedTools([row["completions"]]))
        assert len(made["example_inputs"]) == 10
        assert filtered == []


class Unavailable(ScriptedTools):
    """A model for which all prompts are too long."""

    async def generate(self, *_: Any, **__: Any) -> Answer:
        raise Unanswered("prompt_too_long", "9 tokens into 8")


def test_without_an_answer_calls_are_drawn_or_the_row_fails() -> None:
    (row,), _, _ = process(Inputs(inputs_from="both"), ROW, Unavailable([]))
    assert (set(row["input_origins"]), row["model"], row["tries"], row["reasoning"]) == ({"types"}, None, 0, None)
    _, _, reject = process(Inputs(), ROW, Unavailable([]))
    assert isinstance(reject, Unanswered)
    assert reject.reason == "prompt_too_long"
