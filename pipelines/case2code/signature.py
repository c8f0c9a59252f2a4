"""The function of a program: its syntax tree and its parameters."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from synth.pipelines.case2code.literals import Unreadable, read_call
from synth.pipelines.runtime.stage import Reject

__all__ = ["Parameter", "Signature", "as_called", "parse_or_empty", "read_signature", "recorded_call"]


@dataclass(frozen=True)
class Parameter:
    """A parameter that takes one argument; `by_position` and `by_name` say how it can be passed."""

    name: str
    required: bool
    by_position: bool
    by_name: bool
    annotation: ast.expr | None
    default: ast.expr | None


@dataclass(frozen=True)
class Signature:
    """`takes_any_name`: the function has a parameter like `**kwargs`."""

    name: str
    node: ast.FunctionDef
    parameters: tuple[Parameter, ...]
    takes_any_name: bool

    def check(self, names: set[str]) -> None:
        """Raise `Reject` if the function cannot be called with arguments of these names."""
        known = {parameter.name for parameter in self.parameters}
        if not self.takes_any_name and (unknown := names - known):
            raise Reject("unknown_argument", f"{self.name} has no parameter {', '.join(sorted(unknown))}")
        if missing := [one.name for one in self.parameters if one.required and one.name not in names]:
            raise Reject("missing_argument", f"{self.name} needs {', '.join(missing)}")


def read_signature(code: str, func_name: str | None) -> Signature:
    """The function `func_name` of a program, or its last one.

    Raises `Reject`: `syntax_error`, `too_nested`, `no_function`.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise Reject("syntax_error", f"the code cannot be parsed: {error}") from None
    except (RecursionError, MemoryError):
        raise Reject("too_nested", "the code is nested too deeply to be parsed") from None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    named = [node for node in functions if func_name in (None, node.name)]
    if not named:
        raise Reject("no_function", f"the code has no function {func_name or ''}".rstrip())
    node = named[-1]
    return Signature(node.name, node, tuple(_parameters(node.args)), takes_any_name=node.args.kwarg is not None)


def recorded_call(text: str | None) -> dict[str, Any]:
    """Parse a call in a row, such as `dict(a=1)`, into its arguments. Raises `Reject` as `unreadable_input`."""
    try:
        # Lists of strings may contain nulls.
        return read_call(text or "")
    except Unreadable as unreadable:
        raise Reject("unreadable_input", f"{text!s:.200}: {unreadable.detail}") from None


def parse_or_empty(code: str) -> ast.Module:
    """The syntax tree of code; an empty one if it does not parse, which a run will report."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def as_called(code: str, entry: str, calls: Sequence[Mapping[str, Any]]) -> list[tuple[list[Any], dict[str, Any]]]:
    """Positional and keyword arguments for each call: by name, except for positional-only parameters."""
    defined = [node for node in parse_or_empty(code).body if isinstance(node, ast.FunctionDef) and node.name == entry]
    positional_only = [one.arg for one in defined[-1].args.posonlyargs] if defined else []
    result = []
    for arguments in calls:
        first = list(takewhile(arguments.__contains__, positional_only))
        rest = {name: value for name, value in arguments.items() if name not in first}
        result.append(([arguments[name] for name in first], rest))
    return result


def _parameters(arguments: ast.arguments) -> list[Parameter]:
    positional_only, keyword_only = arguments.posonlyargs, arguments.kwonlyargs
    positional = [*positional_only, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults + arguments.kw_defaults
    return [
        Parameter(
            one.arg, default is None, one not in keyword_only, one not in positional_only, one.annotation, default
        )
        for one, default in zip([*positional, *keyword_only], defaults, strict=True)
    ]
