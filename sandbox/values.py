"""Canonical values: a lossless JSON form of Python values, independent of how they compare or sort.

None, booleans, strings, lists and integers below 2**53 are themselves; any other value is an object with one key, the
name of its type. Two values have the same canonical form if and only if they have the same type and value, up to the
order of a dict's keys, which is kept for display and ignored by `equal`. 1, 1.0 and True differ; nan equals nan.

This file also runs in the jail, next to the program whose values it encodes. So it imports only the standard library,
compares exact types by identity (even hashing a type can run code of its metaclass), and never calls a method that a
value could have overridden.
"""

import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

__all__ = ["MAX_BYTES", "Unencodable", "decode", "encode", "encode_text", "equal", "shown", "type_name"]

MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_BYTES = 65_536
MAX_BITS = 13_000
PLAIN_INTEGERS = 1 << 53

dumps = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_name_of_type = type.__dict__["__name__"].__get__
_numerator, _denominator = Fraction.__dict__["_numerator"].__get__, Fraction.__dict__["_denominator"].__get__
FACTORIES = {name.__name__: name for name in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)}
_FACTORY_NAMES = {id(factory): name for name, factory in FACTORIES.items()}


class Unencodable(ValueError):
    """The value has no canonical form; the message is the name of its type or the limit that it exceeds."""


def encode(value: Any) -> Any:
    """The canonical value. Raises `Unencodable`."""
    canonical = Encoder().encode(value, 0)
    _text_of(canonical)
    return canonical


def encode_text(value: Any) -> str:
    """The canonical value as JSON text, in ASCII. Raises `Unencodable`."""
    return _text_of(Encoder().encode(value, 0))


def _text_of(canonical: Any) -> str:
    text = dumps(canonical)
    if len(text) > MAX_BYTES:
        raise Unencodable("too long")
    return text


def type_name(kind: type) -> str:
    """The name of a type, read without its metaclass; cut, because the program chooses it."""
    return str(_name_of_type(kind))[:100]


class Encoder:
    """The encoding of one value, with the nodes and bytes that it may still use."""

    def __init__(self) -> None:
        self.nodes = MAX_NODES
        self.bytes = MAX_BYTES

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self._integer(value)
        if kind is str:
            return self._string(value)
        self.nodes -= 1
        if self.nodes < 0:
            raise Unencodable("too many")
        if depth >= MAX_DEPTH:
            raise Unencodable("too deep")
        if kind is float:
            return {"float": repr(value)}
        if kind is list:
            return self._items(value, depth)
        if kind is dict:
            return {"dict": self._pairs(value, depth)}
        write = _WRITERS.get(id(kind))
        if write is None:
            raise Unencodable(type_name(kind))
        return write(self, value, depth)

    def _integer(self, value: int) -> Any:
        if -PLAIN_INTEGERS < value < PLAIN_INTEGERS:
            return value
        if value.bit_length() > MAX_BITS:
            raise Unencodable("too long")
        return {"int": str(value)}

    def _string(self, value: str) -> Any:
        self._spend(len(value))
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            # UTF-8 cannot represent lone surrogates.
            return {"str": value.encode("utf-8", "surrogatepass").hex()}
        return value

    def _spend(self, size: int) -> None:
        self.bytes -= size
        if self.bytes < 0:
            raise Unencodable("too long")

    def _items(self, values: Any, depth: int) -> list[Any]:
        self.nodes -= len(values)
        if self.nodes < 0:
            raise Unencodable("too many")
        depth += 1
        return [
            value if type(value) is int and -PLAIN_INTEGERS < value < PLAIN_INTEGERS else self.encode(value, depth)
            for value in values
        ]

    def _pairs(self, values: Any, depth: int) -> list[Any]:
        self.nodes -= 2 * len(values)
        if self.nodes < 0:
            raise Unencodable("too many")
        pairs = [[self.encode(key, depth + 1), self.encode(value, depth + 1)] for key, value in dict.items(values)]
        # Two nan keys would become one when decoded.
        tagged = [dumps(key) for key, _ in pairs if type(key) is dict]
        if len(set(tagged)) < len(tagged):
            raise Unencodable("two nans")
        return pairs

    def _members(self, values: Any, depth: int) -> list[Any]:
        members = sorted(self._items(values, depth), key=set_order)
        if any(type(member) is dict and member == before for before, member in pairwise(members)):
            raise Unencodable("two nans")
        return members

    def write_tuple(self, value: Any, depth: int) -> Any:
        return {"tuple": self._items(value, depth)}

    def write_set(self, value: Any, depth: int) -> Any:
        return {_name_of_type(type(value)): self._members(value, depth)}

    def write_bytes(self, value: Any, _: int) -> Any:
        self._spend(2 * len(value))
        return {_name_of_type(type(value)): value.hex()}

    def write_numbers(self, value: Any, _: int) -> Any:
        match value:
            case range():
                parts = [value.start, value.stop, value.step]
            case timedelta():
                parts = [value.days, value.seconds, value.microseconds]
            case _:
                parts = [_numerator(value), _denominator(value)]
        if any(type(part) is not int for part in parts):
            raise Unencodable(type_name(type(value)))
        return {_name_of_type(type(value)): [self._integer(part) for part in parts]}

    def write_complex(self, value: Any, _: int) -> Any:
        return {"complex": [repr(value.real), repr(value.imag)]}

    def write_decimal(self, value: Any, _: int) -> Any:
        text = str(value)
        self._spend(len(text))
        return {"Decimal": text}

    def write_moment(self, value: Any, _: int) -> Any:
        kind = type(value)
        if kind is not date and (value.fold or not (value.tzinfo is None or value.tzinfo is UTC)):
            raise Unencodable(type_name(kind))
        return {_name_of_type(kind): value.isoformat()}

    def write_ordered(self, value: Any, depth: int) -> Any:
        # Not dict.items: it ignores OrderedDict.move_to_end.
        pairs = [[self.encode(key, depth + 1), self.encode(dict.get(value, key), depth + 1)] for key in _ordered(value)]
        return {"OrderedDict": pairs}

    def write_counter(self, value: Any, depth: int) -> Any:
        return {"Counter": self._pairs(value, depth)}

    def write_defaultdict(self, value: Any, depth: int) -> Any:
        factory = value.default_factory
        if factory is not None and id(factory) not in _FACTORY_NAMES:
            raise Unencodable("defaultdict")
        return {"defaultdict": [_FACTORY_NAMES.get(id(factory)), self._pairs(value, depth)]}

    def write_deque(self, value: Any, depth: int) -> Any:
        return {"deque": [value.maxlen, self._items(value, depth)]}


_ordered = OrderedDict.__iter__
_WRITERS: dict[int, Callable[[Encoder, Any, int], Any]] = {
    id(tuple): Encoder.write_tuple,
    id(set): Encoder.write_set,
    id(frozenset): Encoder.write_set,
    id(bytes): Encoder.write_bytes,
    id(bytearray): Encoder.write_bytes,
    id(complex): Encoder.write_complex,
    id(range): Encoder.write_numbers,
    id(timedelta): Encoder.write_numbers,
    id(Fraction): Encoder.write_numbers,
    id(Decimal): Encoder.write_decimal,
    id(date): Encoder.write_moment,
    id(datetime): Encoder.write_moment,
    id(time): Encoder.write_moment,
    id(OrderedDict): Encoder.write_ordered,
    id(Counter): Encoder.write_counter,
    id(defaultdict): Encoder.write_defaultdict,
    id(deque): Encoder.write_deque,
}


def set_order(canonical: Any) -> tuple[int, int, str]:
    """The sort key of a set's element: plain integers by value, then strings, then the rest by their encoding."""
    if type(canonical) is int:
        return 0, canonical, ""
    if type(canonical) is str:
        return 1, 0, canonical
    return 2, 0, dumps(canonical)


def decode(canonical: Any) -> Any:
    """The Python value. `canonical` must come from `encode`."""
    if type(canonical) is list:
        return [decode(item) for item in canonical]
    if type(canonical) is not dict:
        return canonical
    ((tag, body),) = canonical.items()
    return READERS[tag](body)


def _decode_pairs(pairs: Any) -> list[tuple[Any, Any]]:
    return [(decode(key), decode(value)) for key, value in pairs]


READERS: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "str": lambda body: bytes.fromhex(body).decode("utf-8", "surrogatepass"),
    "float": float,
    "complex": lambda body: complex(float(body[0]), float(body[1])),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "tuple": lambda body: tuple(map(decode, body)),
    "set": lambda body: set(map(decode, body)),
    "frozenset": lambda body: frozenset(map(decode, body)),
    "dict": lambda body: dict(_decode_pairs(body)),
    "OrderedDict": lambda body: OrderedDict(_decode_pairs(body)),
    "Counter": lambda body: Counter(dict(_decode_pairs(body))),
    "defaultdict": lambda body: defaultdict(FACTORIES.get(body[0]), _decode_pairs(body[1])),
    "deque": lambda body: deque(map(decode, body[1]), body[0]),
    "range": lambda body: range(*map(decode, body)),
    "timedelta": lambda body: timedelta(*map(decode, body)),
    "Fraction": lambda body: Fraction(*map(decode, body)),
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
}
_UNORDERED = {"dict", "Counter"}


def equal(one: Any, other: Any) -> bool:
    """Whether two canonical values represent the same value; ignores the order of a dict's keys."""
    return dumps(_without_order(one)) == dumps(_without_order(other))


def _without_order(canonical: Any) -> Any:
    if type(canonical) is list:
        return [_without_order(item) for item in canonical]
    if type(canonical) is not dict:
        return canonical
    ((tag, body),) = canonical.items()
    body = _without_order(body)
    if tag == "defaultdict":
        body = [body[0], sorted(body[1], key=dumps)]
    return {tag: sorted(body, key=dumps) if tag in _UNORDERED else body}


def shown(canonical: Any) -> str:
    """The value as Python source, like `repr`, with the elements of a set in canonical order."""
    if type(canonical) is list:
        return f"[{_shown_all(canonical)}]"
    if type(canonical) is not dict:
        return repr(canonical)
    ((tag, body),) = canonical.items()
    match tag:
        case "tuple":
            return f"({_shown_all(body)}{',' * (len(body) == 1)})"
        case "set":
            return f"{{{_shown_all(body)}}}" if body else "set()"
        case "frozenset":
            return f"frozenset({{{_shown_all(body)}}})" if body else "frozenset()"
        case "dict":
            return _shown_dict(body)
        case "Counter":
            return f"Counter({_shown_dict(_most_common(body)) if body else ''})"
        case "OrderedDict":
            return f"OrderedDict([{', '.join(f'({shown(key)}, {shown(value)})' for key, value in body)}])"
        case "defaultdict":
            return f"defaultdict({FACTORIES.get(body[0])!r}, {_shown_dict(body[1])})"
        case "deque":
            return f"deque([{_shown_all(body[1])}]{'' if body[0] is None else f', maxlen={body[0]}'})"
    return repr(READERS[tag](body))


def _shown_all(items: Any) -> str:
    return ", ".join(map(shown, items))


def _shown_dict(pairs: Any) -> str:
    return f"{{{', '.join(f'{shown(key)}: {shown(value)}' for key, value in pairs)}}}"


def _most_common(pairs: Any) -> Any:
    if any(type(count) is not int for _, count in pairs):
        return pairs
    return sorted(pairs, key=lambda pair: -pair[1])
