"""Checks that a jail's output is a canonical value. The input is untrusted."""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise, starmap
from operator import lt
from typing import Any

from synth.sandbox.values import FACTORIES, MAX_BITS, MAX_DEPTH, PLAIN_INTEGERS, READERS, Encoder, dumps, set_order

__all__ = ["check"]

_MAX_DIGITS = 4000
# The most different keys with the same hash. In honest values only tuples of -1 and -2 are known to collide.
_MAX_COLLISIONS = 64
_LONG = 8


def check(canonical: Any) -> None:
    """Raise ValueError unless `encode` could have made it. Takes linear time, even if keys are chosen to collide."""
    _key(canonical, 0)


def _key(canonical: Any, depth: int) -> Any:
    """Check the value. Returns a stand-in that hashes and compares like it: a list if it is unhashable."""
    kind = type(canonical)
    if kind is str:
        # JSON escapes can produce lone surrogates, which canonical strings never contain.
        canonical.encode()
        return canonical
    if canonical is None or kind is bool:
        return canonical
    if kind is int:
        _must(-PLAIN_INTEGERS < canonical < PLAIN_INTEGERS)
        return canonical
    if kind is list:
        return _keys(canonical, depth)
    _must(kind is dict and len(canonical) == 1 and depth < MAX_DEPTH)
    ((tag, body),) = canonical.items()
    _must(tag in _TAGS)
    return _TAGS[tag](body, depth)


def _must(true: bool) -> None:
    if not true:
        raise ValueError("not a canonical value")


def _keys(items: Any, depth: int) -> list[Any]:
    _must(type(items) is list and depth < MAX_DEPTH)
    if len(items) > _LONG and _is_uniform(items):
        return list(items)
    depth += 1
    return [item if type(item) is str and item.isascii() else _key(item, depth) for item in items]


def _is_uniform(items: list[Any]) -> bool:
    """Fast path (10x): a list of only integers or only strings, as most long lists are. Checks them, too."""
    kinds = set(map(type, items))
    if kinds == {int}:
        _must(min(items) > -PLAIN_INTEGERS and max(items) < PLAIN_INTEGERS)
    elif kinds == {str}:
        "".join(items).encode()
    else:
        return False
    return True


def _must_increase(keys: Iterable[Any]) -> None:
    _must(all(starmap(lt, pairwise(keys))))


def _must_differ(keys: list[Any]) -> None:
    """No two keys may be equal in Python, such as True and 1. The caller checks that their encodings differ."""
    if all(type(key) is str or type(key) is int for key in keys):
        return
    by_hash: dict[int, list[Any]] = {}
    for key in keys:
        try:
            others = by_hash.setdefault(hash(key), [])
        except TypeError as error:
            raise ValueError(str(error)) from error
        _must(len(others) < _MAX_COLLISIONS and key not in others)
        others.append(key)


def _members(items: Any, depth: int) -> list[Any]:
    keys = _keys(items, depth)
    _must_increase(map(set_order, items))
    _must_differ(keys)
    return keys


def _pairs(pairs: Any, depth: int) -> list[Any]:
    _must(type(pairs) is list)
    if not pairs:
        return []
    _must(set(map(type, pairs)) == {list} and set(map(len, pairs)) == {2})
    written, values = map(list, zip(*pairs, strict=True))
    keys = _keys(written, depth)
    _keys(values, depth)
    kinds = set(map(type, written))
    if kinds == {str}:
        _must(len(set(written)) == len(pairs))
    elif kinds == {int}:
        # Sorted, because integers can be chosen to collide.
        _must_increase(sorted(written))
    else:
        _must(len(set(map(dumps, written))) == len(pairs))
        _must_differ(keys)
    return keys


def _integer(body: Any, _: int) -> Any:
    _must(type(body) is str and len(body) <= _MAX_DIGITS and re.fullmatch("-?[1-9][0-9]*", body) is not None)
    value = int(body)
    _must(abs(value) >= PLAIN_INTEGERS and value.bit_length() <= MAX_BITS)
    return value


def _number(body: Any, _: int) -> Any:
    _must(type(body) is str and len(body) < 40)
    value = float(body)
    _must(repr(value) == body)
    return value


def _complex(body: Any, depth: int) -> Any:
    _must(type(body) is list and len(body) == 2)
    return complex(*(_number(part, depth) for part in body))


def _defaultdict(body: Any, depth: int) -> Any:
    _must(type(body) is list and len(body) == 2)
    _must(body[0] is None or (type(body[0]) is str and body[0] in FACTORIES))
    return _pairs(body[1], depth)


def _deque(body: Any, depth: int) -> Any:
    _must(type(body) is list and len(body) == 2 and type(body[1]) is list)
    _must(body[0] is None or (type(body[0]) is int and len(body[1]) <= body[0] < PLAIN_INTEGERS))
    return _keys(body[1], depth)


def _leaf(tag: str, shape: type) -> Callable[[Any, int], Any]:
    """A check for types without elements: decoding and encoding must reproduce the body."""

    def leaf(body: Any, depth: int) -> Any:
        _must(type(body) is shape)
        if shape is list:
            # Only integers: a Fraction of a Decimal with a large exponent takes unbounded time.
            _must(len(body) <= 3 and all(type(part) is int for part in _keys(body, depth)))
        try:
            value = READERS[tag](body)
            _must(dumps(Encoder().encode(value, 0)) == dumps({tag: body}))
        except (ArithmeticError, TypeError) as error:
            raise ValueError(str(error)) from error
        return value

    return leaf


_TAGS: dict[str, Callable[[Any, int], Any]] = {
    "int": _integer,
    "float": _number,
    "complex": _complex,
    "tuple": lambda items, depth: tuple(_keys(items, depth)),
    "set": _members,
    "frozenset": lambda items, depth: frozenset(_members(items, depth)),
    "dict": _pairs,
    "OrderedDict": _pairs,
    "Counter": _pairs,
    "defaultdict": _defaultdict,
    "deque": _deque,
    **{tag: _leaf(tag, str) for tag in ("str", "bytes", "bytearray", "Decimal", "date", "datetime", "time")},
    **{tag: _leaf(tag, list) for tag in ("range", "timedelta", "Fraction")},
}
