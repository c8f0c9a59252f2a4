"""Calls as source text: read without running anything, and written so that reading gives the same values again.

A value is what the sandbox can carry: None, bool, int, float, str, bytes, list, tuple, set, frozenset and dict. Besides
literals, a model's text may use the constructors of these types, arithmetic on numbers, `+` and `*` on sequences, and
`range` inside a constructor, as in `list(range(5))` or `'a' * 100`. Each is bounded in size before it is worked out.
"""

import ast
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = [
    "LONGEST",
    "Unreadable",
    "read_arguments",
    "read_call",
    "read_value",
    "unquoted",
    "write_call",
    "write_value",
]

# The longest call, in characters of source; an operation may make as many items, or bits of a number.
LONGEST = 4_096

_COLLECTIONS: dict[str, Callable[[Iterable[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "sorted": sorted,
    "bytes": bytes,
    "dict": dict,
}
_NUMBERS: dict[str, Callable[..., Any]] = {"float": float, "int": int, "bool": bool, "str": str}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_ATTRIBUTES = {"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e}


class Unreadable(Exception):
    """Source text that is no call, or no value. `reason` is a name to count by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def read_call(text: str) -> dict[str, Any]:
    """The arguments of a call written as `dict(a=1, b='x')`, in order, or as published: a dict quoted as JSON.

    Raises `Unreadable`.
    """
    return read_arguments(_parsed(unquoted(text) or text))


def unquoted(text: str | None) -> str | None:
    """The text that a JSON string holds; None of anything else."""
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def read_arguments(node: ast.expr) -> dict[str, Any]:
    """The arguments that `dict(a=1)` or `{'a': 1}` gives by name. Raises `Unreadable`."""
    match node:
        case ast.Call(func=ast.Name("dict"), args=[], keywords=keywords) if all(one.arg for one in keywords):
            given = [(str(one.arg), one.value) for one in keywords]
        case ast.Dict(keys=keys) if all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in keys):
            given = [(key.value, value) for key, value in zip(keys, node.values, strict=True)]  # type: ignore[union-attr]
        case _:
            raise Unreadable("not_a_call", f"{_shown(node)} is neither dict(name=value) nor {{'name': value}}")
    return {name: read_value(value) for name, value in given}


def read_value(node: ast.expr) -> Any:
    """The value that a literal expression stands for. Raises `Unreadable`."""
    try:
        value = _value(node)
        size = len(write_value(value))
    except RecursionError:
        raise Unreadable("too_large", "nested too deeply") from None
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, KeyError) as error:
        raise Unreadable("not_a_value", f"{_shown(node)}: {error}") from None
    if size > LONGEST:
        raise Unreadable("too_large", f"{size:,} characters, more than {LONGEST:,}")
    return value


def write_call(arguments: Mapping[str, Any]) -> str:
    """`dict(a=1, b='x')`."""
    return f"dict({', '.join(f'{name}={write_value(value)}' for name, value in arguments.items())})"


def write_value(value: Any) -> str:
    """Source text of a value: as `repr`, but sets are sorted, and what has no literal is written by its constructor."""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{write_value(key)}: {write_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, frozenset):
        return f"frozenset({write_value(set(value))})" if value else "frozenset()"
    if isinstance(value, set):
        return f"{{{', '.join(sorted(map(write_value, value)))}}}" if value else "set()"
    if isinstance(value, list):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(write_value, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable("not_a_call", f"{text[:80]!r}: {error}") from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() | bytes()):
            return _bounded(node.value)
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            # A key that is None stands for `**`.
            return {_value(_no_star(key)): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            value = _number(operand)
            return -value if isinstance(node.op, ast.USub) else +value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _worked_out(op, _value(left), _value(right))
        case ast.Attribute() if ast.unparse(node) in _ATTRIBUTES:
            return _ATTRIBUTES[ast.unparse(node)]
        case ast.Call(func=ast.Name(name), args=arguments, keywords=keywords):
            return _constructed(name, arguments, keywords, node)
    raise Unreadable("not_a_literal", f"{_shown(node)} is no literal")


def _constructed(name: str, arguments: list[ast.expr], keywords: list[ast.keyword], node: ast.expr) -> Any:
    if name == "dict" and not arguments:
        return {str(_no_star(one.arg)): _value(one.value) for one in keywords}
    if keywords or len(arguments) > 1 or name not in _COLLECTIONS | _NUMBERS:
        raise Unreadable("not_a_literal", f"{_shown(node)} is no literal")
    if name in _NUMBERS:
        return _bounded(_NUMBERS[name](*map(_value, arguments)))
    items = _items(arguments[0]) if arguments else ()
    return _COLLECTIONS[name](items)


def _items(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name("range"), args=[_, *_] as bounds, keywords=[]):
            return _bounded(range(*map(_number, bounds)))
    value = _value(node)
    if isinstance(value, int):
        # `bytes(5)` is a size.
        raise TypeError(f"{value} is no collection")
    return value


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if not isinstance(value, int | float):
        raise TypeError(f"{_shown(node)} is no number")
    return value


def _worked_out(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(op, ast.Pow) and isinstance(left, int) and left.bit_length() * abs(right) > LONGEST:
            raise Unreadable("too_large", f"a power of more than {LONGEST:,} bits")
    elif isinstance(op, ast.Mult):
        sequence, times = (right, left) if isinstance(left, int) else (left, right)
        if not isinstance(times, int) or _weight(sequence) * times > LONGEST:
            raise Unreadable("too_large", f"more than {LONGEST:,} items")
    elif not isinstance(op, ast.Add):
        raise TypeError("no arithmetic on these")
    return _bounded(_ARITHMETIC[type(op)](left, right))


def _bounded(value: Any) -> Any:
    """`value`, unless it is so large that a few more operations would be felt."""
    if isinstance(value, complex):
        raise TypeError("a complex number cannot be carried")
    if _weight(value) > LONGEST:
        raise Unreadable("too_large", f"more than {LONGEST:,} items, characters or bits")
    return value


def _weight(value: Any) -> int:
    """Bits of a number, characters of a text, all that is in a collection."""
    if isinstance(value, int):
        return value.bit_length()
    if isinstance(value, str | bytes | range):
        return len(value)
    if isinstance(value, dict):
        return sum(1 + _weight(key) + _weight(item) for key, item in value.items())
    return sum(1 + _weight(item) for item in value) if isinstance(value, list | tuple | set | frozenset) else 0


def _no_star(name: Any) -> Any:
    if name is None:
        raise Unreadable("not_a_literal", "a ** inside a call or a dict")
    return name


def _shown(node: ast.expr) -> str:
    return ast.unparse(node)[:80]
