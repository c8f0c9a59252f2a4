"""Each step reads the published rows of the step before it, and rows with only the columns that it needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from synth.pipelines.case2code.candidates import with_imports
from synth.pipelines.case2code.compose import Compose
from synth.pipelines.case2code.execute import Execute
from synth.pipelines.case2code.inputs import Inputs
from synth.pipelines.case2code.layouts import calls_of, function_of
from synth.pipelines.case2code.literals import read_call, write_call
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject, Stage
from synth.sandbox.pool import Sandbox
from synth.schemas.dataset import Dataset
from tests.jails import why_not
from tests.pipelines.case2code.test_literals import VALUES
from tests.pipelines.case2code.test_published import ADDITIONS, FORMS, row_of, written

jailed = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

CODE = "def half(n):\n    return n / 2\n"
PROMPT = (
    "Write inputs for the function.\n```python\nexamples = [...]\n```\n"
    f"Function:\n```python\ndef other(a):\n    return a\n```\nFunction:\n```python\n{CODE}```\nExamples:\n"
)
EXAMPLES = "examples = [\n    dict(n=3),\n    {'n': -1.5},\n]\nexamples += [dict(n=set())]"
CALLS = ["dict(n=3)", "dict(n=-1.5)", "dict(n=set())"]
OUTPUTS = [{"return": "1.5", "error": None}, {"return": "-0.75", "error": None}, {"return": None, "error": "TypeError"}]

TO_EXECUTE: list[dict[str, Any]] = [
    {"code": CODE, "func_name": "half", "example_inputs": CALLS},
    {"id": "a", "code": CODE, "example_inputs": [json.dumps("{'n': 3}"), json.dumps("{'n': -1.5}"), CALLS[2]]},
    # As published by the input-writing step and the execution step.
    {"gen_answer_id": "b", "prompt": PROMPT, "completions": f"```python\n{EXAMPLES}\n```", "example_str": EXAMPLES},
    {"gen_answer_id": "c", "prompt": PROMPT, "example_str": EXAMPLES, "code": CODE, "func_name": "half",
     "exec_raw_output": "<|OUT|>", "exec_status": True},
]  # fmt: skip


def made(stage: Stage, row: dict[str, Any], folder: Path) -> Dataset:
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    sandbox = Sandbox("bwrap") if isinstance(stage, Execute) else None
    Run(stage, [str(folder / "rows.jsonl")], folder / "out", Options(), sandbox=sandbox).execute()
    return Dataset.open(folder / "out")


@jailed
@pytest.mark.parametrize("row", TO_EXECUTE)
def test_calls_are_executed_from_any_layout(row: dict[str, Any], tmp_path: Path) -> None:
    (found,) = made(Execute(), row, tmp_path).rows()
    assert found == {
        "id": row.get("id") or row.get("gen_answer_id") or "rows-0",
        "code": CODE,
        "func_name": "half",
        "example_inputs": CALLS,
        "example_outputs": OUTPUTS,
        "exec_status": True,
    }


@jailed
@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"prompt": "Which function?", "example_str": EXAMPLES}, "no_code", "there is no `code`, and no python fence"),
        ({"code": CODE}, "no_inputs", "it comes with no call to try"),
        (
            {"code": CODE, "example_str": "examples = [dict(n=len)]"},
            "unreadable_input",
            "in example_str, len is no lit",
        ),
        ({"code": CODE, "example_str": "examples = [dict(n=1"}, "unreadable_input", "example_str cannot be parsed: "),
        (
            {"code": CODE, "example_str": "examples = list({})"},
            "unreadable_input",
            "example_str has no literal list called examples",
        ),
    ],
)
def test_a_row_without_function_or_calls_is_rejected(
    row: dict[str, Any], reason: str, detail: str, tmp_path: Path
) -> None:
    rejected = made(Execute(), row, tmp_path).rejected
    assert rejected is not None
    (found,) = rejected.rows()
    assert found["reason"] == reason
    assert found["detail"].startswith(detail)


def test_published_outputs_are_unquoted_in_tasks(tmp_path: Path) -> None:
    row = row_of("initials")
    # As published by the filter: without the columns of the evaluation.
    kept = {name: row[name] for name in ("code", "func_name", "example_str", "example_inputs", "example_outputs")}
    (task,) = made(Compose(evaluation=True, errors="message"), {"gen_answer_id": "g", **kept}, tmp_path).rows()
    assert task["id"] == "g"
    assert task["example_inputs"][:2] == ["dict(name='ada lovelace')", 'dict(name="grace o\'hopper")']
    assert [output["return"] for output in task["example_outputs"]] == ["'AL'", "'GO'", "''", "'XYZ'", "'ÉZ'"]
    assert all(str(task["example_outputs"][index]["return"]) in task["prompt"] for index in task["shown"])
    assert "\"'" not in task["prompt"]


def test_a_published_error_is_shown_by_its_type_or_with_its_message(tmp_path: Path) -> None:
    row = {
        "code": "def first(x):\n    return x[0]\n",
        "func_name": "first",
        "example_str": "examples = [dict(x=''), dict(x='ab')]",
        "example_outputs": [
            {"error": "seen\n<|EXCEPTION|> \"<class 'IndexError'>: string index out of range\""},
            {"trace": "", "return": "\"'a'\""},
        ],
    }
    (task,) = made(Compose(evaluation=True, errors="message"), row, tmp_path).rows()
    assert task["example_outputs"] == [
        {"return": None, "error": "IndexError: string index out of range"},
        {"return": "'a'", "error": None},
    ]
    assert "IndexError: string index out of range" in task["prompt"]
    assert "EXCEPTION" not in task["prompt"]


def test_a_raw_function_gets_the_imports_that_it_uses(tmp_path: Path) -> None:
    row = {
        "content": "def words(text):\n    return re.split(r'\\W+', dedent(text))",
        "import_code": ["import re, os", "from textwrap import dedent, indent", "import torch"],
    }
    (found,) = made(Inputs(inputs_from="types"), row, tmp_path).rows()
    assert found["code"] == f"from textwrap import dedent\nimport re\n\n\n{row['content']}"
    assert found["func_name"] == "words"


def test_unparsable_imports_are_left_out() -> None:
    assert with_imports(CODE, ["import"]) == CODE
    assert with_imports("def f(:", ["import re"]) == "def f(:"
    assert with_imports(CODE, ["from math import *"]) == f"from math import *\n\n\n{CODE}"


def test_the_function_of_a_row_is_the_named_one_or_the_last_one() -> None:
    code = "def one(a): return a\ndef two(a): return a\n"
    assert function_of({"code": code, "func_name": "one"})[1] == "one"
    assert function_of({"code": code, "func_name": None})[1] == "two"
    with pytest.raises(Reject, match="syntax_error"):
        function_of({"code": "def f(", "func_name": None})


@given(written(forms=FORMS[:2], additions=ADDITIONS[:2]))
def test_literal_inputs_are_read_without_running_anything(source: tuple[str, list[dict[str, Any]]]) -> None:
    text, arguments = source
    assert calls_of({"example_str": text}) == [write_call(one) for one in arguments]


@given(VALUES)
def test_calls_quoted_as_json_are_read(value: Any) -> None:
    call = write_call({"a": value})
    assert write_call(read_call(json.dumps(call))) == call
