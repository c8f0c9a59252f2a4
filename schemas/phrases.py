"""Phrases that messages share."""

from collections.abc import Sequence

__all__ = ["first_line", "listed", "plural"]


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else "".join(parts)


def plural(count: int, noun: str) -> str:
    """The count with its noun: `1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
