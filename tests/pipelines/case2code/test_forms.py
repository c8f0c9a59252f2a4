"""A function's parameters as JSON: what a reply may hold, and what it is read as."""

import json
from typing import Any

import pytest

from synth.pipelines.case2code.expectation import expectations
from synth.pipelines.case2code.forms import form_of_calls
from synth.pipelines.case2code.inputs import Inputs
from synth.pipelines.case2code.signature import read_signature
from tests.pipelines.scripted import ScriptedTools, process


def schema_of(parameters: str, body: str = "return 1") -> dict[str, Any]:
    signature = read_signature(f"def f({parameters}):\n    {body}\n", "f")
    form = form_of_calls(signature, expectations(signature), 2, 10)
    examples = form.schema["properties"]["examples"]
    assert (examples["minItems"], examples["maxItems"]) == (2, 10)
    return dict(examples["items"])


def kinds(schema: Any) -> Any:
    """A schema reduced to its types."""
    match schema:
        case {"anyOf": several}:
            return [kinds(one) for one in several]
        case {"prefixItems": parts}:
            return tuple(map(kinds, parts))
        case {"type": "array", "items": items}:
            return [kinds(items)]
        case {"properties": properties}:
            return {name: kinds(one) for name, one in properties.items()}
        case {"additionalProperties": values}:
            return {"*": kinds(values)}
    return schema["type"]


@pytest.mark.parametrize(
    ("parameters", "body", "expected"),
    [
        ("a: int, b: float, c: str, d: bool", "return 1", ["integer", "number", "string", "boolean"]),
        ("a: list[int], b: tuple[int, str], c: set[str]", "return 1", [["integer"], ("integer", "string"), ["string"]]),
        ("a: dict[str, float]", "return 1", [{"*": "number"}]),
        ("a", "return a.upper()", ["string"]),
        ("a", "return a['rank'] % 2, a['name'].strip()", [{"rank": "integer", "name": "string"}]),
        ("thing", "return thing", [["integer", "string", [["integer", "string"]]]]),
    ],
)
def test_the_schema_is_that_of_the_expected_types(parameters: str, body: str, expected: list[Any]) -> None:
    assert [kinds(one) for one in schema_of(parameters, body)["properties"].values()] == expected


def test_only_arguments_without_a_default_are_required() -> None:
    schema = schema_of("a: int, b: int = 2")
    assert (schema["required"], schema["additionalProperties"]) == (["a"], False)


ROW: dict[str, Any] = {
    "id": "s/f",
    "source_id": "s",
    "code": "def f(a: tuple[int, str], b: set[int], c: bytes, d: dict[int, str]):\n    return a, b, c, d\n",
    "func_name": "f",
}


def test_values_without_a_form_in_json_are_read_as_what_is_expected() -> None:
    examples = [
        {"a": [1, "x"], "b": [3, 2, 3], "c": "é", "d": {"1": "one", "-2": "two", "three": "three"}},
        {"a": [2, "y"], "b": [], "c": "", "d": {}},
        {"a": [2, "y"], "b": [[1]], "c": "", "d": {}},
        {"b": [], "c": "", "d": {}},
        "none",
    ]
    tools = ScriptedTools([json.dumps({"examples": examples})])
    (row,), filtered, _ = process(Inputs(schema=True), ROW, tools)
    assert row["example_inputs"] == [
        "dict(a=(1, 'x'), b={2, 3}, c=b'\\xc3\\xa9', d={1: 'one', -2: 'two', 'three': 'three'})",
        "dict(a=(2, 'y'), b=set(), c=b'', d={})",
        "dict(a=(2, 'y'), b=[[1]], c=b'', d={})",
    ]
    assert [one.reason for one in filtered] == ["missing_argument", "not_a_call"]
    ((prompt, _, _),) = tools.requests
    assert prompt[-1]["content"].endswith("each an object that names every argument.")  # type: ignore[index]
    assert tools.schemas[0]["required"] == ["examples"]


def test_json_is_read_without_a_schema_too() -> None:
    tools = ScriptedTools(['```json\n{"examples": [{"a": [1, "x"], "b": [1], "c": "", "d": {}}]}\n```'])
    (row,), _, _ = process(Inputs(min_inputs=1), ROW, tools)
    assert row["example_inputs"] == ["dict(a=(1, 'x'), b={1}, c=b'', d={})"]
    assert tools.schemas == [None]
