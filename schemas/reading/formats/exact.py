"""Parsing JSON without losing digits or keys.

orjson silently turns integers beyond 64 bits into floats, rounds fractions beyond the precision of float64, and keeps
the last of duplicate keys. It is by far the fastest parser, so it goes first, and text that it may have changed is
parsed again.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from synth.schemas.reading.formats.streams import undecodable

__all__ = ["BadJSON", "Number", "fits_float64", "is_lossless", "is_same_number", "parse", "text_of"]

# Maps digits and points to zeros, so that long numbers and negative exponents can be searched for.
_RUNS = bytes.maketrans(b"123456789.E", b"0000000000e")
_LONG_RUN, _SMALL = b"0" * 16, b"0e-"
# Maps integers to zeros after a space.
_WHOLE = bytes(ord("0") if byte in b"0123456789" else byte if byte in b"." else ord(" ") for byte in range(256))
_BEYOND_64_BITS = b" " + b"0" * 19
_OTHER = bytes(set(range(256)) - set(b"0123456789"))
_LONG = re.compile(rb"\d[\d.]{15,}(?:[eE][-+]?\d+)?|\d[\d.]*[eE]-\d{3,}")


class BadJSON(ValueError):
    """Text that is not a JSON value with unique keys; the message is a predicate, such as `is not JSON`."""


@dataclass(frozen=True, slots=True)
class Number:
    """The text of a JSON number that neither a signed 64-bit integer nor float64 can represent."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def is_whole(self) -> bool:
        return self.text.removeprefix("-").isdigit()


def parse(text: bytes) -> Any:
    """The value of a JSON text. Raises `BadJSON` for invalid text and duplicate keys."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "infinity" not in error.msg:
            raise BadJSON(undecodable(text) or _fault(error)) from error
        return _parsed_again(text)
    return value if is_lossless(text, value) else _parsed_again(text)


def is_lossless(text: bytes, value: Any) -> bool:
    """Whether `value`, which orjson parsed from one or several JSON texts, certainly has all of their content."""
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    # A lost key has two quotation marks. An escaped quotation mark may be written back as one.
    if _quotes(text) != _quotes(written) or (b"\\" in text and b"\\u0022" in text):
        return False
    # Most numbers are short, and most are written back unchanged, such as those that Python and JavaScript wrote.
    runs = text.translate(_RUNS)
    if _LONG_RUN not in runs and _SMALL not in runs:
        return True
    same_digits = text.translate(None, _OTHER) == written.translate(None, _OTHER)
    if same_digits and _BEYOND_64_BITS not in text.translate(_WHOLE):
        return True
    return all(map(_fits_64_bits, _LONG.findall(text)))


def _quotes(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord('"')))


def text_of(value: Any, otherwise: Callable[[Any], Any] | None = None) -> str:
    """A value as compact JSON, with numbers as they were written; `otherwise` converts values that JSON lacks."""

    def known(value: Any) -> Any:
        if isinstance(value, Number):
            return orjson.Fragment(value.text)
        if otherwise is None:
            raise TypeError(f"{type(value).__name__} is not a JSON value")
        return value.decode(errors="replace") if isinstance(value, bytes) else otherwise(value)

    return orjson.dumps(value, default=known, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def fits_float64(number: str) -> bool:
    """Whether float64 can represent all digits of a number."""
    return _round_trips(float(number), number)


def is_same_number(written: bytes, read: bytes) -> bool:
    """Whether a JSON number or null is the float `read`, written by orjson, with all its digits and no other type.

    NaN and infinity are written as null. An integer must be within 64 bits, and -0 is the integer 0.
    """
    if written == read:
        return True
    if b"null" in (written, read):
        return False
    value, text = float(read), written.decode()
    if written.removeprefix(b"-").isdigit():
        return text != "-0" and _whole(text) == int(value)
    return float(text) == value and _round_trips(value, text)


def _fits_64_bits(number: bytes) -> bool:
    """Whether 64 bits can represent an unsigned number. A match that is not a number is inside a string."""
    if number.isdigit():
        return len(number) < 19 or (len(number) == 19 and int(number) < 2**63)
    try:
        value = float(number)
    except ValueError:
        return True
    return repr(value).encode() == number or _round_trips(value, number.decode())


def _round_trips(value: float, number: str) -> bool:
    """Whether a float has the digits it was parsed from, in its shortest form or one with as many digits."""
    exact = Decimal(number)
    return exact in (Decimal(repr(value)), Decimal(f"{value:.{len(exact.as_tuple().digits)}g}"))


def _parsed_again(text: bytes) -> Any:
    try:
        value = _DECODER.decode(text.decode())
        # Only this detects half of a surrogate pair here.
        text_of(value)
    except json.JSONDecodeError as error:
        raise BadJSON(_fault(error)) from error
    except RecursionError:
        raise BadJSON("is nested too deeply") from None
    except orjson.JSONEncodeError as error:
        surrogate = "surrogate" in str(error)
        raise BadJSON(
            "holds half of a surrogate pair, which is no character" if surrogate else "is nested too deeply"
        ) from None
    return value


def _fault(error: json.JSONDecodeError) -> str:
    place = f"at column {error.colno}" + (f" of line {error.lineno}" if error.lineno > 1 else "")
    if "surrogate" in error.msg:
        return f"holds half of a surrogate pair, which is no character, {place}"
    return f"is not JSON: {error.msg} {place}"


def _whole(text: str) -> int | Number:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        return Number(text)
    return int(text)


def _fraction(text: str) -> float | Number:
    value = float(text)
    return value if _round_trips(value, text) else Number(text)


def _constant(text: str) -> Any:
    raise BadJSON(f"is not JSON: {text} is no JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadJSON(f"has the key {twice!r} twice in one object")
    return made


_DECODER = json.JSONDecoder(
    parse_int=_whole, parse_float=_fraction, parse_constant=_constant, object_pairs_hook=_object
)
