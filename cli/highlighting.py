"""Search terms in the preview of a document: highlighted, and used to choose which part of a long text to show."""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from synth.pipelines.retrieval.analysis import spans

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["mark", "telling_part"]

# How far a preview looks for the best part.
SEARCHED_CHARACTERS = 1 << 20
# Text shown before the first term in a long line.
LEAD_CHARACTERS = 80


def mark(text: "Text", words: Collection[str]) -> None:
    for start, end in spans(text.plain, words):
        text.stylize("bold yellow", start, end)


def telling_part(text: str, words: Collection[str], length: int) -> int:
    """Where the first part of up to `length` characters begins that has the most different ones of `words`.

    It is the beginning of a line, or of a word where the line is long.
    """
    found = [(start, text[start:end].casefold()) for start, end in spans(text[:SEARCHED_CHARACTERS], words)]
    inside: Counter[str] = Counter()
    best = most = first = 0
    for at, word in found:
        inside[word] += 1
        while found[first][0] < at - length:
            inside[found[first][1]] -= 1
            first += 1
        different = sum(count > 0 for count in inside.values())
        if different > most:
            best, most = found[first][0], different
    best = min(best, max(len(text) - length, 0))
    line = text.rfind("\n", 0, best) + 1
    return line if best - line <= LEAD_CHARACTERS else text.rfind(" ", line, best - LEAD_CHARACTERS // 2) + 1 or line
