"""How a report displays strings from data and shares."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import count

from synth.cli.rendering import line

__all__ = ["distinct", "percent", "shown"]

RIGHT_TO_LEFT = {"R", "AL", "AN"}
# Noncharacters, which are invalid in the XML of a chart.
NO_CHARACTERS = re.compile("[\ufffe\uffff]")


def shown(text: str, most: int = 48) -> str:
    """`text` on one line, cut to `most` characters, with bidirectional control characters escaped.

    Right-to-left text is isolated, so that it does not reorder the following text.
    """
    whole = text[: most + 1].encode("utf-8", "backslashreplace").decode() or "(empty)"
    text = NO_CHARACTERS.sub("\ufffd", line(whole))
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    if any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text):
        return f"\u2068{text}\u2069"
    return text


def distinct(texts: Sequence[str], most: int = 48) -> list[str]:
    """The texts as shown, with a number added where two would look the same."""
    named: dict[str, None] = {}
    for text in texts:
        name = shown(text, most)
        again = (f"{name} ({number})" for number in count(2))
        while name in named:
            name = next(again)
        named[name] = None
    return list(named)


def percent(part: float, whole: float = 1) -> str:
    share = part / whole if whole else 0.0
    return f"{share:.0%}" if share in (0, 1) or 0.1 <= share <= 0.99 else f"{share:.1%}"
