"""Read and write calls as source text, without running anything. What is written reads back as equal values.

Values are of the types that the sandbox supports: None, bool, int, float, str, bytes, list, tuple, set, frozenset and
dict. Besides literals, text may use the constructors of these types, arithmetic on numbers, `+` and `*` on sequences,
and `range` inside a constructor, as in `list(range(5))` or `'a' * 100`. Sizes are checked before each evaluation.
"""

import ast
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from synth.pipelines.runtime.stage import Reject

__all__ = [
    "Unreadable",
    "read_arguments",
    "read_call",
    "read_value",
    "source_of",
    "unquoted",
    "write_call",
    "write_value",
]

# Of a value, in characters of source; also of the result of an operation, in items or bits.
MAX_SIZE = 4_096

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


class Unreadable(Reject):
    """Source text is not a call, or not a value."""


def read_call(text: str) -> dict[str, Any]:
    """The arguments of a call written as `dict(a=1, b='x')`, or as published: a dict quoted as JSON.

    Raises `Unreadable`.
    """
    return read_arguments(_parsed(unquoted(text) or text))


def unquoted(text: str | None) -> str | None:
    """The value of a JSON string; None if the text is not one."""
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def read_arguments(node: ast.expr) -> dict[str, Any]:
    """The arguments by name in `dict(a=1)` or `{'a': 1}`. Raises `Unreadable`."""
    match node:
        case ast.Call(func=ast.Name("dict"), args=[], keywords=keywords) if all(one.arg for one in keywords):
            given = [(str(one.arg), one.value) for one in keywords]
        case ast.Dict(keys=keys) if all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in keys):
            given = [(key.value, value) for key, value in zip(keys, node.values, strict=True)]  # type: ignore[union-attr]
        case _:
            raise Unreadable("not_a_call", f"{_snippet(node)} is neither dict(name=value) nor {{'name': value}}")
    return {name: read_value(value) for name, value in given}


def read_value(node: ast.expr) -> Any:
    """The value of a literal expression. Raises `Unreadable`."""
    try:
        value = _value(node)
        size = len(write_value(value))
    except RecursionError:
        raise Unreadable("too_large", "nested too deeply") from None
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, KeyError) as error:
        raise Unreadable("not_a_value", f"{_snippet(node)}: {error}") from None
    if size > MAX_SIZE:
        raise Unreadable("too_large", f"{size:,} characters, more than {MAX_SIZE:,}")
    return value


def source_of(node: ast.expr) -> str:
    """Source text of an expression; `...` if it is nested too deeply."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return "..."


def write_call(arguments: Mapping[str, Any]) -> str:
    """`dict(a=1, b='x')`."""
    return f"dict({', '.join(f'{name}={write_value(value)}' for name, value in arguments.items())})"


def write_value(value: Any) -> str:
    """Like `repr`, but sets are sorted, and values without a literal are written as a constructor call."""
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
            return _limited(node.value)
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            # The key of a `**` entry is None.
            return {_value(_not_unpacked(key)): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            value = _number(operand)
            return -value if isinstance(node.op, ast.USub) else +value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _operate(op, _value(left), _value(right))
        case ast.Attribute() if ast.unparse(node) in _ATTRIBUTES:
            return _ATTRIBUTES[ast.unparse(node)]
        case ast.Call(func=ast.Name(name), args=arguments, keywords=keywords):
            return _constructed(name, arguments, keywords, node)
    raise Unreadable("not_a_literal", f"{_snippet(node)} is no literal")


def _constructed(name: str, arguments: list[ast.expr], keywords: list[ast.keyword], node: ast.expr) -> Any:
    if name == "dict" and not arguments:
        return {str(_not_unpacked(one.arg)): _value(one.value) for one in keywords}
    if keywords or len(arguments) > 1 or name not in _COLLECTIONS | _NUMBERS:
        raise Unreadable("not_a_literal", f"{_snippet(node)} is no literal")
    if name in _NUMBERS:
        return _limited(_NUMBERS[name](*map(_value, arguments)))
    items = _items(arguments[0]) if arguments else ()
    return _COLLECTIONS[name](items)


def _items(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name("range"), args=[_, *_] as bounds, keywords=[]):
            return _limited(range(*map(_number, bounds)))
    value = _value(node)
    if isinstance(value, int):
        # `bytes(5)` is a size.
        raise TypeError(f"{value} is no collection")
    return value


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if not isinstance(value, int | float):
        raise TypeError(f"{_snippet(node)} is no number")
    return value


def _operate(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(op, ast.Pow) and isinstance(left, int) and left.bit_length() * abs(right) > MAX_SIZE:
            raise Unreadable("too_large", f"a power of more than {MAX_SIZE:,} bits")
    elif isinstance(op, ast.Mult):
        sequence, times = (right, left) if isinstance(left, int) else (left, right)
        if not isinstance(times, int) or _size(sequence) * times > MAX_SIZE:
            raise Unreadable("too_large", f"more than {MAX_SIZE:,} items")
    elif not isinstance(op, ast.Add):
        raise TypeError("no arithmetic on these")
    return _limited(_ARITHMETIC[type(op)](left, right))


def _limited(value: Any) -> Any:
    """`value`, unless a few more operations on it would be slow."""
    if isinstance(value, complex):
        raise TypeError("a complex number cannot be carried")
    if _size(value) > MAX_SIZE:
        raise Unreadable("too_large", f"more than {MAX_SIZE:,} items, characters or bits")
    return value


def _size(value: Any) -> int:
    """Bits of a number, characters of a string, or the total over a collection."""
    if isinstance(value, int):
        return value.bit_length()
    if isinstance(value, str | bytes | range):
        return len(value)
    if isinstance(value, dict):
        return sum(1 + _size(key) + _size(item) for key, item in value.items())
    return sum(1 + _size(item) for item in value) if isinstance(value, list | tuple | set | frozenset) else 0


def _not_unpacked(name: Any) -> Any:
    if name is None:
        raise Unreadable("not_a_literal", "a ** inside a call or a dict")
    return name


def _snippet(node: ast.expr) -> str:
    return source_of(node)[:80]
