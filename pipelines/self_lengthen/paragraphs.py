"""Split a text into paragraphs, to extend a part of it (arXiv 2410.23933)."""

import re

__all__ = ["first_half", "first_two_thirds", "joined"]

_BLANK_LINES = re.compile(r"\n\s*\n")


def first_half(text: str) -> str:
    """The first half of the paragraphs of `text`, or of its lines if it has at most two paragraphs.

    Rounded down, so empty for a single line.
    """
    parts = _paragraphs(text)
    if len(parts) <= 2:
        parts = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    return "\n\n".join(parts[: len(parts) // 2])


def first_two_thirds(text: str) -> str:
    """The first two thirds of the paragraphs of `text`, rounded down: never the last one."""
    parts = _paragraphs(text)
    return "\n\n".join(parts[: 2 * len(parts) // 3])


def joined(first: str, rest: str) -> str:
    """Both as one text, with `rest` in new paragraphs."""
    return "\n\n".join(part for part in (first, rest.strip()) if part)


def _paragraphs(text: str) -> list[str]:
    return [part.rstrip() for part in _BLANK_LINES.split(text.strip()) if part.strip()]
