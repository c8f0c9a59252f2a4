import sys

import pytest

from synth.pipelines.case2code.candidates import Candidate, Unusable, candidates


def found(source: str, *import_code: str) -> list[Candidate]:
    return candidates(source, import_code, max_chars=5_120)


def only(source: str, *import_code: str) -> Candidate:
    (candidate,) = found(source, *import_code)
    return candidate


def test_a_function_is_re_emitted_without_comments() -> None:
    kept = only("X = 1\ndef double( n ):  # twice\n    # as much\n    return n*2\n")
    assert (kept.name, kept.reason) == ("double", "")
    assert kept.code == "def double(n):\n    return n * 2\n"


def test_only_the_needed_imports_are_prepended() -> None:
    source = "import re, os\nfrom math import sqrt as root, pi\ndef f(s):\n    return root(len(re.sub('a', '', s)))\n"
    assert only(source).code == (
        "from math import sqrt as root\nimport re\n\n\ndef f(s):\n    return root(len(re.sub('a', '', s)))\n"
    )


def test_import_lines_may_be_passed_separately() -> None:
    assert only("def f(s):\n    return re.escape(s)\n", "import re").code.startswith("import re\n\n\ndef f")


@pytest.mark.parametrize(
    "source",
    [
        # Local names: the function itself, parameters, locals, loops, exceptions, patterns, lambdas, comprehensions.
        "def f(n):\n    return 1 if n < 2 else n * f(n - 1)",
        "def f(list, *more, key=None, **rest):\n    return [list, more, key, rest]",
        "def f(xs):\n    for i, x in enumerate(xs):\n        y = i\n    return sorted(z for z in xs if z > y + x)",
        "def f(xs):\n    return sorted(xs, key=lambda x: -x)",
        "def f(x):\n    try:\n        return int(x)\n    except ValueError as error:\n        return str(error)",
        "def f(x):\n    match x:\n        case [first, *others]:\n            return first\n    return None",
        "def f(x):\n    if (n := len(x)) > 2:\n        return n\n    return 0",
        # Imports under TYPE_CHECKING count, because annotations are evaluated.
        "if TYPE_CHECKING:\n    from typing import List\ndef f(x: List[int]) -> int:\n    return 1",
        "import functools\n@functools.lru_cache(maxsize=None)\ndef f(x):\n    return x + 1",
        "from datetime import date\ndef f(y):\n    return date(y, 1, 1).isoformat()",
        # Parameters that shadow impure names.
        "def f(input, vars, id):\n    return input + vars + id",
        "import os\ndef f(os):\n    return os + 1",
        "def f(x, /):\n    return x",
        "def f(x):\n    if x:\n        return\n    return 1",
    ],
)
def test_self_contained_functions_are_kept(source: str) -> None:
    assert only(source).reason == ""


@pytest.mark.parametrize(
    ("source", "reason", "detail"),
    [
        ("def f():\n    return 1", "no_parameters", ""),
        ("def f(*a, b, **c):\n    return 1", "no_parameters", ""),
        ("async def f(x):\n    return x", "coroutine", ""),
        ("def f(x):\n    yield x\n    return 1", "generator", "yield in line 2"),
        ("def f(x):\n    y = [(yield x)]\n    return 1", "generator", ""),
        ("def f(x):\n    x.append(1)", "no_return", ""),
        ("def f(x):\n    g = lambda: 1\n    x.append(g)", "no_return", ""),
        ("def f(x):\n    if x:\n        return\n    return None", "returns_none", ""),
        ("def f(x):\n    def g():\n        return 1\n    return g()", "nested_def", "g in line 2"),
        ("def f(x):\n    if x:\n        def g():\n            return 1\n    return x", "nested_def", "line 3"),
        ("def f(x):\n    class C:\n        pass\n    return 1", "nested_def", "C"),
        ("def f(x):\n    if x:\n        import re\n    return 1", "import_inside", "import re in line 3"),
        ("def f(x):\n    global n\n    n = x\n    return n", "changes_globals", "global n"),
        ("def f(x):\n    print(x)\n    return x", "prints_or_reads", "print in line 2"),
        ("def f(x):\n    return input(x)", "prints_or_reads", "input"),
        ("def f(x):\n    return open(x).read()", "prints_or_reads", "open"),
        ("def f(x):\n    return sorted(x, key=id)", "looks_inside", "id"),
        ("def f(x):\n    return eval(x)", "looks_inside", "eval"),
        ("from datetime import date\ndef f(x):\n    return date.today() > x", "uses_time", "today()"),
        ("import time\ndef f(x):\n    return time.time() + x", "uses_time", "it needs time"),
        ("import random as r\ndef f(x):\n    return r.choice(x)", "uses_randomness", "it needs random"),
        ("from os.path import join\ndef f(x):\n    return join(x)", "uses_system", "it needs os.path"),
        ("import threading\ndef f(x):\n    return threading.Lock() or x", "uses_processes", "threading"),
        ("import gc\ndef f(x):\n    return gc.get_count() + x", "looks_inside", "it needs gc"),
        ("import sqlite3\ndef f(x):\n    return sqlite3.connect(x)", "impure_import", "it needs sqlite3"),
        ("import numpy as np\ndef f(x):\n    return np.sum(x)", "needs_package", "numpy is no module"),
        ("from . import near\ndef f(x):\n    return near(x)", "needs_package", "a relative import"),
        ("def f(x):\n    return y + x", "free_name", "y is defined nowhere"),
        ("N = 3\ndef f(x):\n    return N + x", "free_name", "N is defined elsewhere in the module"),
        ("def len(x):\n    return 1\ndef f(x):\n    return len(x)", "free_name", "len is defined elsewhere"),
        ("def f(x: Thing):\n    return x", "free_name", "Thing"),
        ("def f(x=DEFAULT):\n    return x", "free_name", "DEFAULT"),
        ("def f(x):\n    return [y for z in x]", "free_name", "y"),
        ("def f(x):\n    return lambda: y", "free_name", "y"),
        (
            "from contextlib import contextmanager\n@contextmanager\ndef f(x):\n    return x",
            "decorated",
            "@contextmanager",
        ),
        ("@unknown(1)\ndef f(x):\n    return x", "decorated", "@unknown(1)"),
        (f"def f(x):\n    return {'x' * 6_000!r}", "too_long", "more than 5,120"),
        ("def f(x):\n    return '\ufffd'", "undecodable", "no text"),
        ("def f(x):\n    break\n    return x", "unwritable", "outside loop"),
    ],
)
def test_other_functions_keep_their_text_and_have_a_reason(source: str, reason: str, detail: str) -> None:
    candidate = found(source)[-1]
    assert (candidate.reason, detail in candidate.detail) == (reason, True), candidate.detail
    assert candidate.code in source + "\n"


@pytest.mark.parametrize("between", ["\n\f\n", "\r\nX = 1\r\n", "\r", "\nX = '\u2028\x1c'\n"])
def test_the_text_of_a_function_is_its_own_lines(between: str) -> None:
    first, last = "def f(x):\n    x.append(1)\n", "def g(x):\n    return y\n"
    assert [one.code for one in found(first + between + last)] == [first, last]


@pytest.mark.parametrize(
    "module",
    [
        "class N:\n    pass",
        "async def N(x):\n    pass",
        "if x:\n    def N():\n        pass",
        "for _, N in []:\n    pass",
        "try:\n    pass\nexcept OSError as N:\n    pass",
        "if x:\n    import N.a",
        "del N",
        "def g(x=(N := 1)):\n    return x",
        "@(N := g)\ndef g(x):\n    return x",
        "class A((N := object)):\n    pass",
    ],
)
def test_names_that_the_module_binds_are_defined_elsewhere(module: str) -> None:
    assert found(f"{module}\ndef f(x):\n    return N + x")[-1].detail == "N is defined elsewhere in the module"


@pytest.mark.parametrize(
    "module",
    [
        "def g():\n    N = 1",
        "def g():\n    global N\n    N = 1",
        "class A:\n    N = 1",
        "[N for N in []]",
        "lambda N: N",
        "print(N)",
    ],
)
def test_names_that_it_binds_in_other_scopes_are_defined_nowhere(module: str) -> None:
    assert found(f"{module}\ndef f(x):\n    return N + x")[-1].detail == "N is defined nowhere"


def test_annotations_of_locals_are_not_evaluated_if_the_module_says_so() -> None:
    source = "@functools.cache\ndef f(x):\n    y: Thing = x\n    return y\n"
    assert only(f"import functools\n{source}").reason == "free_name"
    assert only(f"from __future__ import annotations\nimport functools\n{source}").reason == ""


@pytest.mark.parametrize("before", ["", "x = 1\n", "x = 1\r", "x = 1\r\n", "\f", "x = 1\n  \f", "\\\n", "\\\r\n"])
def test_functions_are_found_wherever_a_line_begins(before: str) -> None:
    assert [one.name for one in found(f"{before}def f(x): return x")] == ["f"]
    assert [one.reason for one in found(f"{before}async def f(x): return x")] == ["coroutine"]


def test_only_module_level_functions_are_candidates() -> None:
    source = "class C:\n    def f(self, x):\n        return x\nif True:\n    def g(x):\n        return x\nlambda x: x\n"
    assert found(source) == []


@pytest.mark.parametrize(
    ("source", "reason", "detail"),
    [
        ("def f(x)\n    return x", "syntax_error", "line 1 is not Python 3."),
        ("print 'hello'", "syntax_error", "Missing parentheses"),
        ("x = 'a\x00b'", "syntax_error", "null bytes"),
        ("def f(x, x):\n    return x", "syntax_error", "duplicate argument"),
        ("f = " + "(" * 5_000 + ")" * 5_000, "syntax_error", "too many nested parentheses"),
        ("x = " + "-" * 100_000 + "1", "too_nested", ""),
        ("#" * 2_000_001, "too_long", "2,000,001 characters"),
    ],
)
def test_an_unusable_source_has_one_reason(source: str, reason: str, detail: str) -> None:
    with pytest.raises(Unusable) as unusable:
        found(source)
    assert unusable.value.reason == reason
    assert detail in unusable.value.detail


def test_an_error_of_scope_has_the_line_of_the_source() -> None:
    with pytest.raises(Unusable, match=r"line 4 is not Python .*: duplicate argument 'x'"):
        found("from __future__ import annotations\nX = 1\n\ndef f(x, x):\n    return x\n")
    with pytest.raises(Unusable, match=r"line 4 is not Python .*: nonlocal declaration not allowed at module level"):
        found("def g(x):\n    return x\n\nnonlocal y\ndef f(x):\n    return y\n")


def test_an_error_of_scope_elsewhere_does_not_matter() -> None:
    method = "class A:\n    def m(self, x, x):\n        return x\n"
    assert found(method) == []
    assert [one.reason for one in found(f"{method}def f(x):\n    return len(x)\n")] == [""]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python knows the syntax")
def test_newer_syntax_is_reported_with_the_python_version() -> None:
    with pytest.raises(Unusable, match=r"line 2 is not Python 3\.11"):
        found("import re\ndef first[T](items: list[T]) -> T:\n    return items[0]\n")


def test_compiler_warnings_are_ignored() -> None:
    assert only(r"def f(x):" + "\n" + r"    return x + '\d'").reason == ""


def test_a_deeply_nested_function_does_not_affect_others() -> None:
    deep = "def deep(x):\n    return " + "+".join(["x"] * 2_000)
    reasons = {one.name: one.reason for one in found(f"{deep}\ndef f(x):\n    return x + 1\n")}
    assert reasons["f"] == ""
    assert reasons["deep"] in ("too_nested", "")
