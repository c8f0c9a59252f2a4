"""Markdown that shows any text as it is."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["code", "escaped", "fenced", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def escaped(text: str) -> str:
    """Text in which no character is Markdown or HTML, on one line."""
    return re.sub(r"([\\`*\[\]<>]|\b_|_\b)", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """A span of code on one line; empty text stays empty."""
    ticks = _longer_than(text, 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{' '.join(text.split())}{space}{ticks}" if text.strip() else ""


def fenced(text: str, language: str) -> str:
    fence = _longer_than(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _longer_than(text: str, least: int) -> str:
    """Backticks that do not occur in the text."""
    return "`" * max([least, *(len(ticks) + 1 for ticks in re.findall("`+", text))])
