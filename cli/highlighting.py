"""Highlighting search terms in the preview of a document, and choosing the part of a long text to show."""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["best_part", "mark"]

# Only this much of a text is searched for the best part.
SEARCHED_CHARACTERS = 1 << 20
# Characters shown before the first term in a long line.
LEAD_CHARACTERS = 80


def mark(text: "Text", words: Collection[str]) -> None:
    from synth.pipelines.retrieval.analysis import spans

    for start, end in spans(text.plain, words):
        text.stylize("bold yellow", start, end)


def best_part(text: str, words: Collection[str], length: int) -> int:
    """The start of the first part of up to `length` characters with the most distinct `words`.

    It is the start of a line, or of a word in a long line.
    """
    from synth.pipelines.retrieval.analysis import spans

    found = [(start, text[start:end].casefold()) for start, end in spans(text[:SEARCHED_CHARACTERS], words)]
    inside: Counter[str] = Counter()
    best = most = first = 0
    for at, word in found:
        inside[word] += 1
        while found[first][0] < at - length:
            inside[found[first][1]] -= 1
            first += 1
        distinct = sum(count > 0 for count in inside.values())
        if distinct > most:
            best, most = found[first][0], distinct
    best = min(best, max(len(text) - length, 0))
    line = text.rfind("\n", 0, best) + 1
    return line if best - line <= LEAD_CHARACTERS else text.rfind(" ", line, best - LEAD_CHARACTERS // 2) + 1 or line
