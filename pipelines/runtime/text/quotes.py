"""Quotes around the texts in replies of models."""

__all__ = ["unquoted"]

_QUOTES = dict(zip("\"'`*_“‘«»„「『", "\"'`*_”’»«“」』", strict=True))


def unquoted(text: str) -> str:
    """A text without the quotes or emphasis around it, unless it has the closing mark inside as well."""
    if len(text) > 1 and (closing := _QUOTES.get(text[0])) == text[-1] and closing not in text[1:-1]:
        return text[1:-1].strip()
    return text
