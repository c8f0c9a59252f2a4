"""Finds equations in prose, for models that do not write `<<...>>` annotations.

`48 / 2 = 24`, `3 x 4 = $12` and `2 * (3 + 4) = 2 * 7 = 14` are found and written like annotations: `48/2=24`, `3*4=12`,
and for the chain `2*(3+4)=14` and `2*7=14`. Anything that may not be a complete equation between numbers (with words,
units, unknowns or mixed numbers) is skipped: missing one only makes two paths less distinct, misreading one would
reject a correct path. `**` is read as bold type, `^` as a power.
"""

import re
from collections.abc import Iterator

__all__ = ["plain_equations"]

_SPELLINGS = (
    (re.compile(r"\\times|\\cdot|[×·]"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\*\*|\\[()\[\]]"), " "),
    (re.compile(r"\\?[$€£]"), "$"),
)

_NUMBER = r"-?\$?-?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_TERM = rf"[( \t]*{_NUMBER}%?[) \t]*"
_SIDE = rf"{_TERM}(?:(?:[-+*/^]|[xX](?!\s*-)){_TERM})*"
_CHAIN = re.compile(rf"{_SIDE}(?:={_SIDE})+")
_PLAIN_NUMBER = re.compile(_NUMBER)

_BULLET = re.compile(r"^\s*[-*+•]\s+")
# Text right before or after a chain that belongs to the calculation, so that the chain alone would be misread.
_PRECEDED = re.compile(
    r"[-+*/^√)0-9]\s*$|[\w.,]$|[0-9]:$|\b(x|of|twice|thrice|half|double|triple|times|plus|minus|by|than)\s+$",
    re.IGNORECASE,
)
_FOLLOWED = re.compile(
    r"[A-Za-z](?:\b|[0-9])|[:.,]?[0-9]|\s*[-+*/^=%(0-9¼-¾⅐-⅞²³¹⁰-⁹]"
    r"|\s+(dozen|hundred|thousand|[mb]illion|percent|remainder|r|and ((a|one)[ -]half|[0-9]+/[0-9]+))\b",
    re.IGNORECASE,
)


def plain_equations(text: str) -> list[str]:
    """The equations of `text` in order, each as `<expression>=<number>` without spaces, dollar signs and commas."""
    for spelling, sign in _SPELLINGS:
        text = spelling.sub(sign, text)
    return [equation for line in text.splitlines() for equation in _in_line(_BULLET.sub("", line))]


def _in_line(line: str) -> Iterator[str]:
    for chain in _CHAIN.finditer(line):
        *sides, last = (side.strip() for side in chain[0].split("="))
        result = last.rstrip(")").rstrip()
        before, after = line[: chain.start()], line[chain.start() + len(chain[0].rstrip()) :]
        if (
            _PRECEDED.search(_opening(before, chain[0]))
            or _FOLLOWED.match(after)
            or not _PLAIN_NUMBER.fullmatch(result)
        ):
            continue
        for side in sides:
            expression = _expression(side)
            if expression is not None:
                yield f"{expression}={_digits(result)}"


def _opening(before: str, chain: str) -> str:
    """The text before the first number or parenthesis of the chain."""
    return before + chain[: len(chain) - len(chain.lstrip())]


def _expression(side: str) -> str | None:
    """A side of an equation as arithmetic; None if it is a single number or ambiguous."""
    while side.count("(") > side.count(")") and side.startswith("("):
        side = side[1:].lstrip()
    if _PLAIN_NUMBER.fullmatch(side.strip("()")) or side.count("(") != side.count(")"):
        return None
    digits = _digits(side)
    # `100 - 20%` may mean 80, and `25 / 1/3` may mean 75.
    if ("%" in side and re.search(r"[-+]", side)) or re.search(r"/[0-9.]+/", digits):
        return None
    arithmetic = re.sub(r"([0-9.]+)%", r"(\1/100)", digits)
    return re.sub(r"[xX]", "*", arithmetic).replace("^", "**")


def _digits(text: str) -> str:
    return re.sub(r"[$,\s]", "", text)
