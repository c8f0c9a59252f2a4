"""Checks that a jail's output is a canonical value. The input must be assumed hostile."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from synth.sandbox.values import FACTORIES, MAX_BITS, MAX_DEPTH, PLAIN_INTEGERS, READERS, Encoder, dumps, place_in_set

__all__ = ["check"]

_MAX_DIGITS = 4000
# Different keys of one hash. Of honest ones there are few: tuples of -1 and -2 are all that is known.
_MAX_ALIKE = 64
_LONG = 8
# Stands for any value that can be no key.
_NO_KEY: list[Any] = []


def check(canonical: Any) -> None:
    """Raises ValueError unless `encode` could have made it. The time taken is linear in its size, although keys might
    be chosen to collide."""
    _key(canonical, 0)


def _key(canonical: Any, depth: int) -> Any:
    """What hashes and compares as the value does."""
    kind = type(canonical)
    if kind is str:
        # JSON escapes can smuggle in what canonical text never has.
        canonical.encode()
        return canonical
    if canonical is None or kind is bool:
        return canonical
    if kind is int:
        _must(-PLAIN_INTEGERS < canonical < PLAIN_INTEGERS)
        return canonical
    if kind is list:
        _keys(canonical, depth)
        return _NO_KEY
    _must(kind is dict and len(canonical) == 1 and depth < MAX_DEPTH)
    ((tag, body),) = canonical.items()
    _must(tag in _TAGS)
    return _TAGS[tag](body, depth)


def _must(true: bool) -> None:
    if not true:
        raise ValueError("not a canonical value")


def _keys(items: Any, depth: int) -> list[Any]:
    _must(type(items) is list and depth < MAX_DEPTH)
    if len(items) > _LONG and _is_plain(items):
        return list(items)
    return [_key(item, depth + 1) for item in items]


def _is_plain(items: list[Any]) -> bool:
    """Whether a list holds whole numbers alone or texts alone; as most long ones do, and then this takes a tenth of
    the time."""
    kinds = set(map(type, items))
    if kinds == {int}:
        _must(min(items) > -PLAIN_INTEGERS and max(items) < PLAIN_INTEGERS)
    elif kinds == {str}:
        "".join(items).encode()
    else:
        return False
    return True


def _must_differ(keys: list[Any]) -> None:
    """None of them may be to Python what another one is, as True is 1. That they differ in text is known."""
    if all(type(key) is str or type(key) is int for key in keys):
        return
    alike: dict[int, list[Any]] = {}
    for key in keys:
        try:
            others = alike.setdefault(hash(key), [])
        except TypeError as error:
            raise ValueError(str(error)) from error
        _must(len(others) < _MAX_ALIKE and key not in others)
        others.append(key)


def _tuple(items: Any, depth: int) -> Any:
    return tuple(_keys(items, depth))


def _members(items: Any, depth: int) -> list[Any]:
    keys = _keys(items, depth)
    places = [place_in_set(item) for item in items]
    _must(all(one < other for one, other in pairwise(places)))
    _must_differ(keys)
    return keys


def _frozenset(items: Any, depth: int) -> Any:
    return frozenset(_members(items, depth))


def _set(items: Any, depth: int) -> Any:
    _members(items, depth)
    return _NO_KEY


def _pairs(pairs: Any, depth: int) -> Any:
    _must(type(pairs) is list)
    if not pairs:
        return _NO_KEY
    _must(set(map(type, pairs)) == {list} and set(map(len, pairs)) == {2})
    written, values = map(list, zip(*pairs, strict=True))
    keys = _keys(written, depth)
    _keys(values, depth)
    kinds = set(map(type, written))
    if kinds == {str}:
        _must(len(set(written)) == len(pairs))
    elif kinds == {int}:
        # As text, since numbers can be chosen to collide.
        _must(len(set(map(str, written))) == len(pairs))
    else:
        _must(len(set(map(dumps, written))) == len(pairs))
        _must_differ(keys)
    return _NO_KEY


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
    _keys(body[1], depth)
    return _NO_KEY


def _leaf(tag: str, shape: type) -> Callable[[Any, int], Any]:
    """The check of what has no elements: its text is read, and must be written the same."""

    def leaf(body: Any, depth: int) -> Any:
        _must(type(body) is shape)
        if shape is list:
            # Of whole numbers alone: to make a fraction of a decimal with a large exponent takes for ever.
            _must(len(body) <= 3 and all(type(part) is int for part in _keys(body, depth)))
        try:
            value = READERS[tag](body)
            same = dumps(Encoder().encode(value, 0)) == dumps({tag: body})
        except (ArithmeticError, TypeError) as error:
            raise ValueError(str(error)) from error
        _must(same)
        return value

    return leaf


_TAGS: dict[str, Callable[[Any, int], Any]] = {
    "int": _integer,
    "float": _number,
    "complex": _complex,
    "tuple": _tuple,
    "set": _set,
    "frozenset": _frozenset,
    "dict": _pairs,
    "OrderedDict": _pairs,
    "Counter": _pairs,
    "defaultdict": _defaultdict,
    "deque": _deque,
    **{tag: _leaf(tag, str) for tag in ("str", "bytes", "bytearray", "Decimal", "date", "datetime", "time")},
    **{tag: _leaf(tag, list) for tag in ("range", "timedelta", "Fraction")},
}
