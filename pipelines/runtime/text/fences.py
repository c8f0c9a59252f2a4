"""Code fences in the replies of models."""

import re

__all__ = ["fenced_code", "without_fence"]

_PYTHON_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:python3?|py)[ \t]*\n", re.MULTILINE | re.IGNORECASE)
_ANY_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n", re.MULTILINE)
_END = re.compile(r"^[ \t]*```", re.MULTILINE)


def fenced_code(reply: str) -> str | None:
    """The text in the first python fence, else in the first fence. An open fence ends with the reply."""
    opening = _PYTHON_FENCE.search(reply) or _ANY_FENCE.search(reply)
    if opening is None:
        return None
    closing = _END.search(reply, opening.end())
    return reply[opening.end() : closing.start() if closing else len(reply)]


def without_fence(reply: str) -> str:
    """The fenced code of a reply, or the whole reply if it has no fence."""
    inside = fenced_code(reply)
    return reply if inside is None else inside
