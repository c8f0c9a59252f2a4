"""Whether what came out of a jail is a canonical value. What is looked at here was written by a hostile program."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from sandbox.values import FACTORIES, MAX_BITS, MAX_DEPTH, PLAIN_INTEGERS, READERS, Encoder, dumps, place_in_set

__all__ = ["check"]

_MAX_DIGITS = 4000


def check(canonical: Any, depth: int = 0) -> None:
    """Raises ValueError unless `encode` could have made it. Builds no set and no dict, whose keys might be chosen to
    collide."""
    kind = type(canonical)
    if kind is str:
        # JSON escapes can smuggle in what canonical text never has.
        canonical.encode()
        return
    if canonical is None or kind is bool:
        return
    if kind is int:
        _must(-PLAIN_INTEGERS < canonical < PLAIN_INTEGERS)
    elif kind is list:
        _check_all(canonical, depth)
    elif kind is dict:
        _must(len(canonical) == 1 and depth < MAX_DEPTH)
        ((tag, body),) = canonical.items()
        _must(tag in _CHECKS)
        _CHECKS[tag](body, depth)
    else:
        _must(False)


def _must(true: bool) -> None:
    if not true:
        raise ValueError("not a canonical value")


def _check_all(items: Any, depth: int) -> None:
    _must(type(items) is list and depth < MAX_DEPTH)
    for item in items:
        check(item, depth + 1)


def _check_set(items: Any, depth: int) -> None:
    _check_all(items, depth)
    places = [place_in_set(item) for item in items]
    _must(all(one < other for one, other in pairwise(places)))
    for item in items:
        _must(_hashable(item))


def _check_pairs(pairs: Any, depth: int) -> None:
    _must(type(pairs) is list)
    for pair in pairs:
        _must(type(pair) is list and len(pair) == 2)
        _check_all(pair, depth)
        _must(_hashable(pair[0]))
    _must(len({dumps(key) for key, _ in pairs}) == len(pairs))


_HASHABLE = {"bytes", "complex", "date", "datetime", "Decimal", "float", "Fraction", "frozenset", "int"}
_HASHABLE |= {"range", "str", "time", "timedelta", "tuple"}


def _hashable(canonical: Any) -> bool:
    if type(canonical) is list:
        return False
    if type(canonical) is not dict:
        return True
    ((tag, body),) = canonical.items()
    return tag in _HASHABLE and (tag not in ("tuple", "frozenset") or all(map(_hashable, body)))


def _check_integer(body: Any, _: int) -> None:
    _must(type(body) is str and len(body) <= _MAX_DIGITS and re.fullmatch("-?[1-9][0-9]*", body) is not None)
    _must(abs(int(body)) >= PLAIN_INTEGERS and int(body).bit_length() <= MAX_BITS)


def _check_number(body: Any, _: int) -> None:
    _must(type(body) is str and len(body) < 40 and repr(float(body)) == body)


def _check_complex(body: Any, depth: int) -> None:
    _must(type(body) is list and len(body) == 2)
    for part in body:
        _check_number(part, depth)


def _check_defaultdict(body: Any, depth: int) -> None:
    _must(type(body) is list and len(body) == 2)
    _must(body[0] is None or (type(body[0]) is str and body[0] in FACTORIES))
    _check_pairs(body[1], depth)


def _check_deque(body: Any, depth: int) -> None:
    _must(type(body) is list and len(body) == 2 and type(body[1]) is list)
    _must(body[0] is None or (type(body[0]) is int and len(body[1]) <= body[0] < PLAIN_INTEGERS))
    _check_all(body[1], depth)


def _check_leaf(tag: str, shape: type) -> Callable[[Any, int], None]:
    """A check of what has no elements: its text is read, and must be written the same."""

    def check_leaf(body: Any, depth: int) -> None:
        _must(type(body) is shape)
        if shape is list:
            _must(len(body) <= 3 and all(type(part) in (int, dict) for part in body))
            _check_all(body, depth)
        try:
            same = dumps(Encoder().encode(READERS[tag](body), 0)) == dumps({tag: body})
        except (ArithmeticError, TypeError, KeyError) as error:
            raise ValueError(str(error)) from error
        _must(same)

    return check_leaf


_CHECKS: dict[str, Callable[[Any, int], None]] = {
    "int": _check_integer,
    "float": _check_number,
    "complex": _check_complex,
    "tuple": _check_all,
    "set": _check_set,
    "frozenset": _check_set,
    "dict": _check_pairs,
    "OrderedDict": _check_pairs,
    "Counter": _check_pairs,
    "defaultdict": _check_defaultdict,
    "deque": _check_deque,
    **{tag: _check_leaf(tag, str) for tag in ("str", "bytes", "bytearray", "Decimal", "date", "datetime", "time")},
    **{tag: _check_leaf(tag, list) for tag in ("range", "timedelta", "Fraction")},
}
