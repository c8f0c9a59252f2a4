"""Words after a number: units, which are ignored, and words that change the value.

Units are ignored because gold answers often lack them, as in GSM8K: `5 apples` is 5, and so is `5 pears`.
"""

import re
import unicodedata
from types import MappingProxyType

__all__ = ["unit_factor"]

_FACTORS = MappingProxyType(
    {
        **dict.fromkeys(("k", "thousand", "thousands"), 10**3),
        **dict.fromkeys(("hundred", "hundreds"), 10**2),
        **dict.fromkeys(("million", "millions"), 10**6),
        **dict.fromkeys(("billion", "billions"), 10**9),
        **dict.fromkeys(("trillion", "trillions"), 10**12),
        **dict.fromkeys(("lakh", "lakhs"), 10**5),
        **dict.fromkeys(("crore", "crores"), 10**7),
    }
)

# Words right after a number that change its value or make it ambiguous.
_CHANGING = re.compile(
    "and|&|or|plus|minus|squared|cubed|factorial|root|sqrt|pi|[ap]\\.?m"
    "|halves|thirds|fourths|fifths|sixths|sevenths|eighths|ninths|tenths|hundredths|thousandths"
    "|mil|mill|mln|mn|bn|bln|tn|infinity|remainder|bce?|ce|ad"
    "|january|february|march|april|may|june|july|august|september|october|november|december"
)
_SPELLED = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    "|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|half"
)
_NUMBER_WORD = re.compile(rf"\b(?:{_SPELLED})\b")
_JOINED = re.compile(
    r"(?:^(?:through|till|until|times|over|by|point)"
    r"|(?:^|\s)(?:and|&|or|to|plus|minus|past|below|out of|(?:less|more|fewer) than))"
    rf"\s(?:an?\s)?(?:{_SPELLED})\b"
)

# Other single letters are unknowns or, like M, ambiguous.
_ONE_LETTER_UNITS = frozenset("mgshlLdtpNVWJACF")
_UNKNOWNS = re.compile("[xyz]+|abc?|[ab]c")

_UNIT_EXPONENT = re.compile(r"(?<=[A-Za-z])\^[23](?![0-9])|(?<=\b[cdkm]m)[23]\b|(?<=\bm)[23]\b")
_WORDING = re.compile(r"(?:[^\W\d_]|[\s,.;:()'\"?!%°/&—-])*")
_WORD = re.compile(r"[^\W\d_]+(?:[.'&-][^\W\d_]+)*|&")


def unit_factor(words: str) -> int | None:
    """The factor expressed by the words after a number: 1 for units and filler, 1,000,000 for `million`.

    None if they change the value otherwise (`or 6`, `to three`, `squared`, `x`) or contain another number or sign.
    """
    words = _UNIT_EXPONENT.sub("", words)
    if words.lstrip().startswith(("..", "!")) or any(map(str.isnumeric, words)) or _is_mark(words[:1]):
        return None
    words = "".join(character for character in words if not (_is_mark(character) or _is_emoji(character)))
    if not _WORDING.fullmatch(words):
        return None
    found = _WORD.findall(words)
    times = 1
    while found and (known := _FACTORS.get(found[0] if len(found[0]) == 1 else found[0].lower())):
        times *= known
        found = found[1:]
    is_article = found[:1] == ["a"] and len(found) > 1
    if found and (_CHANGING.fullmatch(found[0].lower()) or (_is_unknown(found[0]) and not is_article)):
        return None
    rest = " ".join(found).lower()
    return None if _JOINED.search(rest) or (times > 1 and _NUMBER_WORD.search(rest)) else times


def _is_unknown(word: str) -> bool:
    if len(word) > 1:
        return _UNKNOWNS.fullmatch(word) is not None
    return word not in _ONE_LETTER_UNITS if word.isascii() else unicodedata.name(word, "").startswith("GREEK")


def _is_mark(character: str) -> bool:
    """Whether it modifies the previous character, like the line over a repeating digit."""
    return character != "" and unicodedata.category(character).startswith("M")


def _is_emoji(character: str) -> bool:
    return character != "°" and unicodedata.category(character) == "So"
