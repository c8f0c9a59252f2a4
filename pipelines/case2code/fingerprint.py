"""Recognize duplicate programs.

Exact duplicates have the same re-emitted text. Near duplicates have the same syntax tree after local names are numbered
in order of appearance, and docstrings and annotations are dropped. That is cheaper and more precise than MinHash: two
short functions that differ in one operator or constant overlap as much as two copies do, yet both are wanted here.
"""

import ast
from collections.abc import Mapping
from typing import NamedTuple

import xxhash

__all__ = ["NO_FINGERPRINT", "Fingerprint", "bound_names", "fingerprint"]

_IGNORED_FIELDS = frozenset({"annotation", "returns", "type_comment", "kind", "decorator_list"})


class Fingerprint(NamedTuple):
    """128-bit hashes of a program's text and of its normalized syntax tree."""

    exact: bytes
    near: bytes


NO_FINGERPRINT = Fingerprint(b"", b"")


def fingerprint(code: str, function: ast.FunctionDef, imported: Mapping[str, str]) -> Fingerprint:
    """`imported` maps imported names to full names, so that `from math import sqrt as root` makes no difference."""
    names = {**imported, **{name: f"#{number}" for number, name in enumerate(bound_names(function))}}
    # Numbered again, because the order of `bound_names` is not that of appearance.
    parts: list[str] = []
    _write(function, names, parts)
    order = {name: f"#{number}" for number, name in enumerate(dict.fromkeys(p for p in parts if p.startswith("#")))}
    near = "\0".join(order.get(part, part) for part in parts)
    return Fingerprint(_digest(code), _digest(near))


def bound_names(function: ast.FunctionDef) -> list[str]:
    """The names that a function binds, its own and its parameters included; may contain duplicates."""
    names = []
    for node in ast.walk(function):
        match node:
            case (
                ast.FunctionDef(name=str(name))
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
                | ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store())
            ):
                names.append(name)
    return names


def _write(node: ast.AST, names: Mapping[str, str], parts: list[str]) -> None:
    """Add the normalized tree to `parts`."""
    parts.append(type(node).__name__)
    for field in node._fields:
        value = getattr(node, field, None)
        if field in _IGNORED_FIELDS:
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
