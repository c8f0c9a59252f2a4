"""Functions are run to record their outputs; uninformative ones are rejected with a reason."""

from pathlib import Path

import pytest

from synth.pipelines.case2code.execute import Execute
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.sandbox.pool import Sandbox
from synth.schemas.dataset import Dataset
from synth.schemas.inspecting.ancestry import ancestry
from tests.jails import why_not
from tests.rows import rows_of, write_rows

pytestmark = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

REJECTED = {
    "def f(x):\n    return missing + x": "name_error",
    "def f(x):\n    return x.upper()": "all_errors",
    "def f(x):\n    return 7": "few_distinct_outputs",
    "def f(x):\n    return 1 // (x > 3) + x": "too_many_errors",
    "def f(x):\n    return object()": "unencodable",
    "def f(x):\n    return [repr(object()), x]": "shows_address",
    "def f(x):\n    return 'ab' * (1500 * x)": "too_long_output",
    "def f(x):\n    while True: pass": "timeout",
    "def f(x):\n    import os\n    os.abort()": "crashed",
    "def f(x:\n    return x": "load_error",
    "def f(x):\n    return f(x)": "depends_on_limits",
    "import random\ndef f(x):\n    return random.random() + x": "nondeterministic",
    "def f(x):\n    return [x, list({'a', 'b', 'c', 'd', 'e', 'f'})]": "nondeterministic",
    "def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)": "nondeterministic",
}


def execute(folder: Path, codes: list[str], **options: object) -> Summary:
    rows = [
        {
            "id": f"f-{i}",
            "code": code,
            "func_name": "f",
            "example_inputs": [f"dict(x={x})" for x in range(1, 5)],
            "input_origins": ["types"] * 4,
            "tries": 0,
        }
        for i, code in enumerate(codes)
    ]
    write_rows(folder / "inputs.jsonl", rows)
    stage = Execute(seconds=2.0, **options)  # type: ignore[arg-type]
    return Run(stage, [str(folder / "inputs.jsonl")], folder / "out", Options(), sandbox=Sandbox("bwrap")).execute()


def test_outputs_are_values_or_error_types(tmp_path: Path) -> None:
    execute(tmp_path, ["def f(x):\n    return {'x': [x, 0.1 * x], 'y': 6 // (x - 1)}"])
    (row,) = rows_of(tmp_path / "out")
    assert row["example_outputs"][0] == {"return": None, "error": "ZeroDivisionError"}
    assert row["example_outputs"][2] == {"return": "{'x': [3, 0.30000000000000004], 'y': 3}", "error": None}


def test_each_kind_of_function_is_rejected_with_its_reason(tmp_path: Path) -> None:
    execute(tmp_path, list(REJECTED))
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    assert {row["code"]: row["reason"] for row in rejected.rows()} == REJECTED


def test_nondeterministic_functions_pass_without_repeat(tmp_path: Path) -> None:
    assert (
        execute(
            tmp_path, ["def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)"], repeat=False
        ).counts.produced
        == 1
    )


def test_verdicts_are_replayed_without_starting_a_jail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise AssertionError("a jail was started")

    codes = ["def f(x):\n    return x", "def f(x):\n    return -x"]
    rows = tmp_path / "inputs.jsonl"
    execute(tmp_path, codes)
    first = Dataset.open(tmp_path / "out").table
    stage, kept = Execute(seconds=2.0), Options(keep_answers=True, fresh=True)
    Run(stage, [str(rows)], tmp_path / "out", kept, sandbox=Sandbox("bwrap")).execute()
    assert [ancestor.exchanges for ancestor in ancestry("f-0", [str(tmp_path / "out")])][-1] == []
    monkeypatch.setattr(Sandbox, "start", broken)
    Run(stage, [str(rows)], tmp_path / "out", Options(update=True), sandbox=Sandbox("bwrap")).execute()
    assert Dataset.open(tmp_path / "out").table.equals(first)
