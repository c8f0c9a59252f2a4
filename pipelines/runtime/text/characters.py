"""Normalizes characters to compare texts: without invisible ones, each in one form. Rows keep the original text."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache

__all__ = ["combining", "is_plain", "nfc", "nfkc", "without_invisible"]

# C0 and C1, including NUL, but not white space.
_CONTROL = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
# Unicode's format characters (Cf) and default ignorable ones: soft hyphens, joiners, directional marks, variation
# selectors, fillers, tags.
_IGNORABLE = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_CONTROL}{_IGNORABLE}]")
_ASCII_CONTROL = bytes(code for code in range(128) if _INVISIBLE.match(chr(code)))
_PRINTABLE = bytes(range(ord(" "), ord("~") + 1))
# Decompositions that change the meaning: of powers, indices, fractions, circled numbers, double-struck letters.
_MEANINGFUL = ("<super>", "<sub>", "<fraction>", "<circle>", "<font>")


def is_plain(text: str) -> bool:
    """Whether a text consists of letters, digits, signs and blanks of ASCII."""
    # Nothing is quicker than to delete bytes.
    return text.isascii() and not text.encode().translate(None, _PRINTABLE)


def without_invisible(text: str) -> str:
    """The text without invisible characters; white space stays."""
    return text.encode().translate(None, _ASCII_CONTROL).decode() if text.isascii() else _INVISIBLE.sub("", text)


def nfc(text: str) -> str:
    """The text in NFC, without invisible characters."""
    return unicodedata.normalize("NFC", without_invisible(text))


def nfkc(text: str) -> str:
    """The text in NFKC, without invisible characters; but `x²`, `½`, `①` and `ℝ` stay as they are."""
    text = without_invisible(text)
    if text.isascii():
        return text
    # The pieces at odd indices are the separators.
    pieces = _meaningful().split(text)
    pieces[::2] = [unicodedata.normalize("NFKC", piece) for piece in pieces[::2]]
    return "".join(pieces)


@cache
def combining() -> str:
    """All combining marks, as ranges for a character class of a regular expression."""
    return _ranges(lambda one: unicodedata.category(one).startswith("M"))


@cache
def _meaningful() -> re.Pattern[str]:
    return re.compile(f"([{_ranges(lambda one: unicodedata.decomposition(one).startswith(_MEANINGFUL))}]+)")


def _ranges(belongs: Callable[[str], bool]) -> str:
    """Ranges of the characters for which `belongs` is true, in the planes of Unicode that have any."""
    found: list[list[int]] = []
    for code in range(0x80, 0x20000):
        if belongs(chr(code)):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)
