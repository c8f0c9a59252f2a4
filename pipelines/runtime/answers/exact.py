"""Reads a written number exactly, without floats."""

import re
from fractions import Fraction

from synth.pipelines.runtime.answers.units import unit_factor

__all__ = ["exact_number"]

_LONGEST_NUMBER = 256  # characters
_LARGEST_EXPONENT = 1000
_WIDEST_POWER = 1 << 13  # bits

# Thousands with dots, or with blanks before a decimal comma. A comma alone may separate two numbers, so `1,5` is not a
# number. `2 100/300` is 2 1/3, so blanks do not separate thousands before a slash.
_CONTINENTAL = r"[1-9][0-9]{0,2}(?:(?:(?:\.[0-9]{3})+|(?: [0-9]{3})+),[0-9]+|(?:\.[0-9]{3}){2,}(?![.0-9]))"
_THOUSANDS = (
    r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+(?! ?/)|(?:'[0-9]{3})+|(?:_[0-9]{3})+)(?![0-9])"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"
)
_DECIMAL = rf"(?:{_CONTINENTAL}|(?:{_THOUSANDS}|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_EXPONENT = r"[+-]?[0-9]+"

_NUMBER = re.compile(
    rf"""
    (?P<sign> [+-]? ) (?P<number> {_DECIMAL.replace(" ", "[ ]")} )
    (?: (?: [eE] | [ ]?[×xX*][ ]?10[ ]?\^[ ]? ) (?P<exponent> {_EXPONENT} )
      | [ ]?\^[ ]? (?P<power> {_EXPONENT} )
      | [ ]?/[ ]? (?P<denominator> {_DECIMAL.replace(" ", "[ ]")} )
      | [ ]+ (?: (?:and|&)[ ]+ )? (?P<over> [1-9][0-9]* ) / (?P<under> [1-9][0-9]* )
      | [ ]+ and[ ]+(?:a|one)[ -](?P<half> half )\b
    )?
    """,
    re.VERBOSE,
)
_IS_CONTINENTAL = re.compile(_CONTINENTAL)


def exact_number(text: str) -> tuple[Fraction, str] | None:
    """The number that a plain `text` as a whole is, and the part of the text that it was read from; else None.

    Accepts integers and decimals (thousands separated by commas, blanks, apostrophes or underscores; or by dots before
    a decimal comma), `3/4`, `2 1/2`, `1e6`, `1.5 × 10^6`, `2^10`, each with an optional sign and followed by units (see
    `unit_factor`). Also None for numbers that are too long or too large to compute.
    """
    match = _NUMBER.match(text)
    if match is None or match.end() > _LONGEST_NUMBER:
        return None
    times = unit_factor(text[match.end() :])
    value = None if times is None else _value(match)
    if times is None or value is None:
        return None
    return value * times, match[0] if times == 1 else text


def _value(match: re.Match[str]) -> Fraction | None:
    value: Fraction | None = _decimal(match["number"])
    assert value is not None
    if match["exponent"]:
        value = _times_power(value, Fraction(10), match["exponent"])
    elif match["power"]:
        value = _times_power(Fraction(1), value, match["power"])
    elif match["denominator"]:
        below = _decimal(match["denominator"])
        value = value / below if below else None
    elif match["half"] or match["over"]:
        part = Fraction(int(match["over"]), int(match["under"])) if match["over"] else Fraction(1, 2)
        value = value + part if value.denominator == 1 and part < 1 else None
    return -value if value is not None and match["sign"] == "-" else value


def _decimal(written: str) -> Fraction:
    if _IS_CONTINENTAL.fullmatch(written):
        written = written.replace(".", "").replace(",", ".")
    return Fraction(re.sub(r"[ ,'_]", "", written))


def _times_power(value: Fraction, base: Fraction, exponent: str) -> Fraction | None:
    size = int(exponent)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(size) > _LARGEST_EXPONENT or abs(size) * bits > _WIDEST_POWER or (base == 0 and size < 0):
        return None
    return value * base**size
