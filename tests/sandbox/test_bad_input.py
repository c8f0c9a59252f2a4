"""Unexpected sources, functions and inputs: each is accepted or rejected with a reason, and none fails."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.case2code.execute import Execute
from synth.pipelines.case2code.functions import Functions
from synth.pipelines.case2code.inputs import Inputs
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.sandbox.pool import Sandbox
from synth.schemas.dataset import Dataset
from tests.jails import why_not
from tests.rows import rows_of, write_rows

DEEP = "def f(x):\n    return " + "-" * 900 + "x\n"
TOO_DEEP = "def f(x):\n    return x" + " + x" * 5_000 + "\n"
LONG = "#" * 10_000_000 + "\ndef f(x):\n    return x\n"
NEWER = "type X = int\n\ndef f(x: X):\n    return x\n"
NAMES = ["r", "e", "ex", "json", "_", "f", "entry", "program", "match", "type", "len", "print", "dict", "BaseException"]
NAMES += ["__init__", "__name__", "__builtins__", "été"]


def outcomes(folder: Path) -> dict[str, str]:
    """The outcome of each row: `kept` or the reason of its rejection."""
    made = Dataset.open(folder)
    found = {str(row["id"]): "kept" for row in made.rows()}
    found.update((row["id"], row["reason"]) for row in (made.rejected.rows() if made.rejected else ()))
    return found


def write(folder: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    return str(write_rows(folder / "rows.jsonl", rows))


SOURCES = {
    LONG: {"": "too_long"},
    "x = [" + "1, " * 1_000_000 + "]\ndef f(x): return x": {"": "too_long"},
    TOO_DEEP: {"": "too_nested"},
    "def f(x): return x\0": {"": "syntax_error"},
    "def f(x): return " + "9" * 4_400: {"": "syntax_error"},
    "def f(x): return 0x" + "f" * 4_400: {"/f": "unwritable"},
    "def len(x): return x + 1\ndef g(y): return [len(y)]": {"/len": "kept", "/g": "free_name"},
    "list = tuple\ndef f(x): return list(x)": {"/f": "free_name"},
    "def sum(x): return sum(x[1:]) if x else 0": {"/sum": "kept"},
    "def f(x): yield x": {"/f": "generator"},
    "async def f(x): return x": {"/f": "coroutine"},
    "import functools\n@functools.wraps(len)\ndef f(x): return x * 2": {"/f": "decorated"},
    "import functools\n@functools.cache\ndef f(x): return x * 3": {"/f": "kept"},
    "def r(a, b): return a - b": {"/r": "kept"},
    "def été(a): return [a, '\\ud800']": {"/été": "kept"},
    "import numpy\ndef f(x): return numpy.sum(x)": {"/f": "needs_package"},
    "": {"": "no_function"},
    "\ufeffdef f(x): return -x": {"/f": "kept"},
}
if sys.version_info < (3, 12):
    SOURCES |= {
        NEWER: {"": "syntax_error"},
        "def f[T](x: T) -> T: return x": {"": "syntax_error"},
        "def f(x): return f'{x + f'{x}'}'": {"": "syntax_error"},
    }


def test_sources(tmp_path: Path) -> None:
    rows = [{"id": f"s-{number}", "content": source} for number, source in enumerate(SOURCES)]
    summary = Run(Functions(), [write(tmp_path, rows)], tmp_path / "out", Options()).execute()
    found = outcomes(tmp_path / "out")
    expected = {f"s-{i}{name}": reason for i, of in enumerate(SOURCES.values()) for name, reason in of.items()}
    assert {name: found[name] for name in expected} == expected
    assert summary.counts.failed == 0
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    assert "None" not in " ".join(row["detail"] for row in rejected.rows() if row["reason"] == "syntax_error")


def test_packages_are_allowed_by_name(tmp_path: Path) -> None:
    content = "import numpy.linalg as l\nimport pandas\ndef f(x): return l.det(x)\ndef g(x): return pandas.Series(x)"
    source = write(tmp_path, [{"id": "s", "content": content}])
    Run(Functions(packages=("numpy",)), [source], tmp_path / "out", Options()).execute()
    assert outcomes(tmp_path / "out") == {"s/f": "kept", "s/g": "needs_package"}


FUNCTIONS = {
    LONG: "kept",
    DEEP: "too_nested",
    TOO_DEEP: "too_nested",
    "def f(x, /, y): return x + y": "kept",
    "def f(x: 'list[\\0'): return x": "kept",
    "def f(x: '" + "(" * 300 + "'): return x": "kept",
    "def f(x: " + "list[" * 90 + "int" + "]" * 90 + "): return x": "kept",
    "def f(x=" + "9" * 4_000 + "): return x": "kept",
    "def f(x): return x == 10 ** 10_000_000 or x == 'a' * 10_000_000": "kept",
    "async def f(x): return x": "no_function",
    "def g(x): return x": "no_function",
    "def f(): return 1": "too_few_inputs",
    "def f(x=...): return x": "kept",
    "def f(x=1e400): return x": "kept",
    "def f(x='\\ud800'): return x + 'a'": "kept",
}


def test_functions_that_inputs_are_drawn_for(tmp_path: Path) -> None:
    rows = [
        {"id": f"f-{number}", "source_id": "s", "code": code, "func_name": "f"} for number, code in enumerate(FUNCTIONS)
    ]
    summary = Run(Inputs(inputs_from="types"), [write(tmp_path, rows)], tmp_path / "out", Options()).execute()
    assert outcomes(tmp_path / "out") == {f"f-{i}": reason for i, reason in enumerate(FUNCTIONS.values())}
    assert summary.counts.failed == 0


SAME = "def f(x):\n    return x\n"
BY_POSITION = "def f(x, /, y=0):\n    return [x, y]\n"
TWO = ["dict(x=1)", "dict(x=2)"]
EXECUTED: list[tuple[str, Sequence[str | None], str]] = [
    (LONG, TWO, "refused"),
    (SAME, [f"dict(x={number})" for number in range(1000)], "kept"),
    (SAME, [f"dict(x='{'y' * 4000}{number}')" for number in range(1000)], "refused"),
    (SAME, ["dict(x=y)", *TWO], "unreadable_input"),
    (SAME, ["f(1)", *TWO], "unreadable_input"),
    (SAME, ["__import__('os').abort()", *TWO], "unreadable_input"),
    (SAME, ["dict(x={[]: 1})", *TWO], "unreadable_input"),
    (SAME, ["dict(x=" + "[" * 5_000 + "]" * 5_000 + ")"], "unreadable_input"),
    (SAME, ["dict(x=" + "[" * 80 + "]" * 80 + ")"], "refused"),
    (SAME, [None, *TWO], "unreadable_input"),
    (SAME, [], "no_inputs"),
    (SAME, ["dict(y=1)", "dict()"], "all_errors"),
    (BY_POSITION, ["dict(x=1)", "dict(x=2, y=3)"], "kept"),
    ("def g(x):\n    return x\n", TWO, "load_error"),
    (NEWER, TWO, "load_error" if sys.version_info < (3, 12) else "kept"),
    ("def f(x):\n    return x\n\0", TWO, "load_error"),
    (TOO_DEEP, TWO, "load_error"),
    ("def f(x):\n    yield x\n", TWO, "unencodable"),
    ("async def f(x):\n    return x\n", TWO, "unencodable"),
    ("def f(x):\n    return (y for y in [x])\n", TWO, "unencodable"),
    ("def f(x):\n    return lambda: x\n", TWO, "unencodable"),
    ("def len(x): return x + 1\ndef f(x):\n    return len(x)\n", TWO, "kept"),
    ("list = tuple\ndef f(x):\n    return list([x])\n", TWO, "kept"),
    ("isinstance = type = str = len = id = None\ndef f(x):\n    return [x]\n", TWO, "kept"),
    ("import functools\n@functools.cache\ndef f(x):\n    return [x]\n", TWO, "kept"),
    ("def f(x):\n    return '\\ud800' * x\n", TWO, "kept"),
    ("f = lambda x: x\n", TWO, "kept"),
    *((f"def {name}(x):\n    return [x, {name!r}]\n", TWO, "kept") for name in NAMES),
]


@pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")
def test_functions_and_inputs_that_are_executed(tmp_path: Path) -> None:
    named = ["f"] * (len(EXECUTED) - len(NAMES)) + NAMES
    rows = [
        {
            "id": f"f-{number}",
            "code": code,
            "func_name": name,
            "example_inputs": inputs,
            "input_origins": ["types"] * len(inputs),
            "tries": 0,
        }
        for number, (name, (code, inputs, _)) in enumerate(zip(named, EXECUTED, strict=True))
    ]
    summary = Run(Execute(), [write(tmp_path, rows)], tmp_path / "out", Options(), sandbox=Sandbox("bwrap")).execute()
    found = outcomes(tmp_path / "out")
    assert found == {f"f-{number}": reason for number, (_, _, reason) in enumerate(EXECUTED)}
    assert summary.counts.failed == 0
    kept = {row["code"]: row["example_outputs"] for row in rows_of(tmp_path / "out")}
    assert [one["return"] for one in kept[BY_POSITION]] == ["[1, 0]", "[2, 3]"]
