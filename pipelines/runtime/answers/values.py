"""The value of an answer: a number, a time of day, or words."""

import re
from fractions import Fraction
from typing import NamedTuple

from synth.pipelines.runtime.answers.exact import exact_number

__all__ = ["Time", "Value", "read_value", "read_words"]


class Time(NamedTuple):
    """A time of day. `half` is `am`, `pm`, or empty if unknown, as for `10:30`, which equals neither."""

    seconds: int
    half: str


Value = Fraction | Time | str

_TIME = re.compile(r"(\d{1,2})(?::([0-5]\d)(?::([0-5]\d))?)?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE | re.ASCII)
_NAME_AND_EQUALS = re.compile(r"[^\W\d_]{1,16}\s*=\s*")
_SENTENCE_END = re.compile(r"\.\s+(?=[^\W\d_])")
_NO_VALUE = re.compile(r"[+-]?(?:nan|inf|infinity)")
_AROUND_SIGNS = re.compile(r"\s*([:,;()\[\]{}+*/=<>×-])\s*")


def read_value(text: str) -> tuple[Fraction | Time, str] | None:
    """The number or time in a plain `text`, and the part of the text that it was read from; None if there is none.

    `x = 5` is 5. If the whole text is not a value, its first sentence is tried.
    """
    text = _NAME_AND_EQUALS.sub("", text, count=1) if _NAME_AND_EQUALS.match(text) else text
    whole = _time(text) or exact_number(text)
    if whole:
        return whole
    end = _SENTENCE_END.search(text)
    if end is None or text[end.end()].islower():
        return None
    return _time(text[: end.start()]) or exact_number(text[: end.start()])


def read_words(text: str) -> str | None:
    """A plain `text` case-folded, with blanks only between words; None if it has no letters and digits."""
    words = _AROUND_SIGNS.sub(r"\1", " ".join(text.split()).casefold())
    return None if _NO_VALUE.fullmatch(words) or not any(map(str.isalnum, words)) else words


def _time(text: str) -> tuple[Time, str] | None:
    match = _TIME.fullmatch(text)
    if match is None or not (match[2] or match[4]):
        return None
    hour, half = int(match[1]), f"{match[4] or ''}m".lower() if match[4] else ""
    if hour > (12 if half else 23) or (half and hour == 0):
        return None
    if not half and not 1 <= hour <= 12:
        half = "pm" if hour else "am"
    return Time((hour % 12 * 60 + int(match[2] or 0)) * 60 + int(match[3] or 0), half), text
