"""Phrases that messages share."""

__all__ = ["plural"]


def plural(count: int, noun: str) -> str:
    """The count with its noun: `1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
