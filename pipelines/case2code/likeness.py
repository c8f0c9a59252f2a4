"""When two functions are the same program.

Exact duplicates have the same re-emitted text. Near duplicates are the same syntax tree once names that a caller cannot
see are numbered in order of appearance and docstrings and annotations are left out. That is cheaper than MinHash and
says what it means: two short functions that differ in one operator or constant overlap as much as two copies do, yet
they are different programs, and both are wanted here.
"""

import ast
from collections.abc import Mapping
from typing import NamedTuple

import xxhash

__all__ = ["NO_LIKENESS", "Likeness", "bound_names", "likeness"]

_LEFT_OUT = frozenset({"annotation", "returns", "type_comment", "kind", "decorator_list"})


class Likeness(NamedTuple):
    """Hashes of 128 bits: of the text, and of what it does whatever its names are."""

    exact: bytes
    near: bytes


NO_LIKENESS = Likeness(b"", b"")


def likeness(code: str, function: ast.FunctionDef, imported: Mapping[str, str]) -> Likeness:
    """`imported` says what imported names stand for, so that `from math import sqrt as root` makes no difference."""
    names = {**imported, **{name: f"#{number}" for number, name in enumerate(bound_names(function))}}
    # In the order of appearance, which is not that of the walk.
    parts: list[str] = []
    _write(function, names, parts)
    order = {name: f"#{number}" for number, name in enumerate(dict.fromkeys(p for p in parts if p.startswith("#")))}
    near = "\0".join(order.get(part, part) for part in parts)
    return Likeness(_digest(code), _digest(near))


def bound_names(function: ast.FunctionDef) -> list[str]:
    """The names that mean something of its own inside a function, its name and parameters included; some twice."""
    names = []
    for node in ast.walk(function):
        match node:
            case ast.FunctionDef(name=str(name)) | ast.ExceptHandler(name=str(name)):
                names.append(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names.append(name)
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                names.append(name)
    return names


def _write(node: ast.AST, names: Mapping[str, str], parts: list[str]) -> None:
    parts.append(type(node).__name__)
    for field in node._fields:
        value = getattr(node, field, None)
        if field in _LEFT_OUT:
            continue
        if field == "body" and isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            value = node.body[1:]
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST):
                _write(one, names, parts)
            elif isinstance(one, str) and not isinstance(node, ast.Constant | ast.Attribute | ast.keyword):
                parts.append(names.get(one, one))
            else:
                parts.append(f"{type(one).__name__} {one!r}")
        parts.append(")")


def _digest(text: str) -> bytes:
    return xxhash.xxh3_128_digest(text.encode(errors="surrogatepass"))
