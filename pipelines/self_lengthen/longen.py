"""Score how well a text meets a length constraint, as LonGen does (arXiv 2410.23933, section 4)."""

import re
from typing import Literal, cast, get_args

from synth.pipelines.self_lengthen.numerals import numbers_in

__all__ = ["CONSTANT", "KINDS", "Kind", "bounds", "kind_of", "score"]

Kind = Literal["about", "range", "above", "below"]
KINDS = cast(tuple[Kind, ...], get_args(Kind))
# Responses of this length would score 0.678 overall on LonGen's own prompts.
CONSTANT = 4000

_NOT_ABOVE = re.compile(
    r"\b(?:no|not) (?:more|longer|greater) than|\b(?:not|don't) exceed|不(?:多|大|高|超)[于过出]", re.IGNORECASE
)
_NOT_BELOW = re.compile(r"\b(?:no|not) (?:less|fewer|shorter) than|不(?:少|小|低)于", re.IGNORECASE)
_ABOVE = re.compile(
    r"\b(?:more|longer|greater) than\b|\b(?:over|above|at least|minimum|exceed\w*)\b|大于|多于|超过|高于|至少|以上",
    re.IGNORECASE,
)
_BELOW = re.compile(
    r"\b(?:less|fewer|shorter) than\b|\b(?:under|below|at most|up to|within|maximum)\b"
    r"|小于|少于|低于|至多|最多|以内|以下",
    re.IGNORECASE,
)


def kind_of(constraint: str) -> Kind:
    """Guess the kind of a constraint: a range if it has two numbers, otherwise by its wording."""
    if len(numbers_in(constraint)) > 1:
        return "range"
    if _NOT_ABOVE.search(constraint):
        return "below"
    if _NOT_BELOW.search(constraint) or _ABOVE.search(constraint):
        return "above"
    return "below" if _BELOW.search(constraint) else "about"


def bounds(constraint: str, kind: Kind) -> tuple[float, float]:
    """Minimum and maximum words for a constraint, from its first number, or its first two for a range.

    Raises `ValueError` if it has too few.
    """
    numbers = numbers_in(constraint)
    needed = 2 if kind == "range" else 1
    if len(numbers) < needed or not all(numbers[:needed]):
        raise ValueError(f"{constraint!r:.200} has not the {'two numbers' if needed == 2 else 'number'} of {kind!r}")
    if kind == "range":
        return min(numbers[:2]), max(numbers[:2])
    low, high = {"about": (0.8, 1.2), "above": (1, 1.5), "below": (0.5, 1)}[kind]
    return low * numbers[0], high * numbers[0]


def score(words: int, low: float, high: float) -> float:
    """1 from `low` to `high` words; 0 at half of `low` and at one and a half of `high`; linear between."""
    if words < low:
        return max(0.0, 2 * words / low - 1)
    if words > high:
        return max(0.0, 3 - 2 * words / high)
    return 1.0
