"""A text cut into paragraphs, and the two parts of one that an extension works with (arXiv 2410.23933)."""

import re

__all__ = ["first_half", "first_two_thirds", "joined"]

_BLANK_LINES = re.compile(r"\n\s*\n")


def first_half(text: str) -> str:
    """The first half of the paragraphs of `text`, rounded down; of its lines where it has one or two paragraphs.

    Empty for a single line.
    """
    parts = _paragraphs(text)
    if len(parts) <= 2:
        parts = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    return "\n\n".join(parts[: len(parts) // 2])


def first_two_thirds(text: str) -> str:
    """The first two thirds of the paragraphs of `text`, rounded down: never the last one. Empty for one paragraph."""
    parts = _paragraphs(text)
    return "\n\n".join(parts[: 2 * len(parts) // 3])


def joined(first: str, rest: str) -> str:
    """Both as one text, `rest` as new paragraphs."""
    return "\n\n".join(part for part in (first, rest.strip()) if part)


def _paragraphs(text: str) -> list[str]:
    return [part.rstrip() for part in _BLANK_LINES.split(text.strip()) if part.strip()]
