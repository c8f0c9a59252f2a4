"""What makes a function's output depend on more than its input, as far as its source tells.

This keeps useless programs out of the data. It is no protection: programs run in the sandbox all the same.
"""

import ast
import sys
from collections.abc import Container

from synth.pipelines.case2code.likeness import bound_names

__all__ = ["SAFE_DECORATORS", "impure_import", "impurity"]

# Modules whose functions give the same for the same arguments, and touch nothing outside the program.
PURE_MODULES = frozenset(
    [
        "__future__",
        "abc",
        "ast",
        "array",
        "base64",
        "binascii",
        "bisect",
        "bz2",
        "calendar",
        "cmath",
        "codecs",
        "collections",
        "colorsys",
        "contextlib",
        "copy",
        "csv",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "enum",
        "fnmatch",
        "fractions",
        "functools",
        "graphlib",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "ipaddress",
        "itertools",
        "json",
        "keyword",
        "lzma",
        "math",
        "ntpath",
        "numbers",
        "operator",
        "posixpath",
        "pprint",
        "quopri",
        "re",
        "reprlib",
        "shlex",
        "statistics",
        "string",
        "stringprep",
        "struct",
        "textwrap",
        "token",
        "tokenize",
        "types",
        "typing",
        "unicodedata",
        "zlib",
    ]
)
# Parts of packages that as a whole are not pure.
PURE_SUBMODULES = frozenset({"urllib.parse", "xml.sax.saxutils", "email.utils", "collections.abc"})

# Other modules of the standard library are rejected as `impure_import`, these with a reason of their own.
TAINTED_MODULES = {
    **dict.fromkeys(["time", "zoneinfo", "sched"], "uses_time"),
    **dict.fromkeys(["random", "secrets", "uuid"], "uses_randomness"),
    **dict.fromkeys(
        [
            "os",
            "sys",
            "socket",
            "tempfile",
            "platform",
            "locale",
            "getpass",
            "pathlib",
            "shutil",
            "glob",
            "io",
            "signal",
            "pwd",
            "grp",
            "site",
            "sysconfig",
        ],
        "uses_system",
    ),
    **dict.fromkeys(
        ["subprocess", "threading", "multiprocessing", "asyncio", "concurrent", "_thread", "queue", "selectors"],
        "uses_processes",
    ),
    **dict.fromkeys(
        ["ctypes", "gc", "weakref", "inspect", "dis", "traceback", "importlib", "builtins", "pickle", "marshal"],
        "looks_inside",
    ),
}
TAINTED_NAMES = {
    **dict.fromkeys(["print", "input", "open", "breakpoint", "help"], "prints_or_reads"),
    **dict.fromkeys(
        ["id", "hash", "globals", "locals", "vars", "dir", "eval", "exec", "compile", "__import__", "exit", "quit"],
        "looks_inside",
    ),
}
# `datetime` is pure but for these.
CLOCKS = frozenset({"now", "today", "utcnow"})

# They change how often a function runs, not what it gives.
SAFE_DECORATORS = frozenset({("functools", "lru_cache"), ("functools", "cache")})


def impure_import(module: str, packages: Container[str] = ()) -> tuple[str, str] | None:
    """Reason and detail why what is imported from `module` (its full dotted name) cannot be prepended.

    `packages` are modules outside the standard library that may be imported.
    """
    top = module.partition(".")[0]
    if module in PURE_SUBMODULES or top in PURE_MODULES or top in packages:
        return None
    if top not in sys.stdlib_module_names:
        return "needs_package", f"{module or 'a relative import'} is no module of the standard library"
    return TAINTED_MODULES.get(top, "impure_import"), f"it needs {module}"


def impurity(function: ast.FunctionDef) -> tuple[str, str] | None:
    """Reason and detail why two calls of `function` may differ, or leave traces outside it."""
    own = bound_names(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in TAINTED_NAMES and node.id not in own:
            return TAINTED_NAMES[node.id], f"{node.id} in line {_line(node, function)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            return "uses_time", f"{node.func.attr}() in line {_line(node, function)}"
    return None


def _line(node: ast.expr, function: ast.FunctionDef) -> int:
    return node.lineno - function.lineno + 1
