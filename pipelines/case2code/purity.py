"""Find out from its source whether a function's output depends on more than its input.

This only keeps useless programs out of the data. It is no security measure: programs run in the sandbox anyway.
"""

import ast
import re
import sys
from collections.abc import Container

from synth.pipelines.case2code.fingerprint import bound_names

__all__ = ["SAFE_DECORATORS", "impure_import", "impurity"]

# Modules whose functions return the same for the same arguments, and touch nothing outside the program.
_PURE_MODULES = (
    "__future__ abc ast array base64 binascii bisect bz2 calendar cmath codecs collections colorsys contextlib copy "
    "csv dataclasses datetime decimal difflib enum fnmatch fractions functools graphlib hashlib heapq hmac html "
    "ipaddress itertools json keyword lzma math ntpath numbers operator posixpath pprint quopri re reprlib shlex "
    "statistics string stringprep struct textwrap token tokenize types typing unicodedata zlib"
)
PURE_MODULES = frozenset(_PURE_MODULES.split())
# Pure parts of packages that are not pure as a whole.
PURE_SUBMODULES = frozenset({"urllib.parse", "xml.sax.saxutils", "email.utils", "collections.abc"})

# Reasons to reject a module. Other impure modules of the standard library are rejected as `impure_import`.
_IMPURE_MODULES = {
    "uses_time": "time zoneinfo sched",
    "uses_randomness": "random secrets uuid",
    "uses_system": "os sys socket tempfile platform locale getpass pathlib shutil glob io signal pwd grp site "
    "sysconfig",
    "uses_processes": "subprocess threading multiprocessing asyncio concurrent _thread queue selectors",
    "looks_inside": "ctypes gc weakref inspect dis traceback importlib builtins pickle marshal",
}
IMPURE_MODULES = {name: reason for reason, names in _IMPURE_MODULES.items() for name in names.split()}
_IMPURE_NAMES = {
    "prints_or_reads": "print input open breakpoint help",
    "looks_inside": "id hash globals locals vars dir eval exec compile __import__ exit quit",
}
IMPURE_NAMES = {name: reason for reason, names in _IMPURE_NAMES.items() for name in names.split()}
# The impure methods of `datetime`.
CLOCKS = frozenset({"now", "today", "utcnow"})
IMPURE_TEXT = re.compile(rf"\b(?:{'|'.join([*IMPURE_NAMES, *CLOCKS])})\b")

# They change how often a function runs, not what it returns.
SAFE_DECORATORS = frozenset({"functools.lru_cache", "functools.cache"})


def impure_import(module: str, packages: Container[str] = ()) -> tuple[str, str] | None:
    """Reason and detail why imports from `module` (its full dotted name) are not allowed.

    `packages` are allowed modules outside the standard library.
    """
    top = module.partition(".")[0]
    if module in PURE_SUBMODULES or top in PURE_MODULES or top in packages:
        return None
    if top not in sys.stdlib_module_names:
        return "needs_package", f"{module or 'a relative import'} is no module of the standard library"
    return IMPURE_MODULES.get(top, "impure_import"), f"it needs {module}"


def impurity(function: ast.FunctionDef, text: str) -> tuple[str, str] | None:
    """Reason and detail why equal calls of `function`, written as `text`, may differ, or have side effects."""
    # Other than in ASCII, a name can be written in several ways.
    if text.isascii() and not IMPURE_TEXT.search(text):
        return None
    bound: frozenset[str] | None = None
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name) if name in IMPURE_NAMES:
                bound = bound or frozenset(bound_names(function))
                if name not in bound:
                    return IMPURE_NAMES[name], f"{name} in line {node.lineno - function.lineno + 1}"
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                return "uses_time", f"{name}() in line {node.lineno - function.lineno + 1}"
    return None
