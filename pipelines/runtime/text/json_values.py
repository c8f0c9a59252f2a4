"""Find the JSON value that a reply consists of."""

import json
from typing import Any

from synth.pipelines.runtime.text.fences import without_fence

__all__ = ["json_in", "member_of"]


def json_in(reply: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that a reply, or the first fence in it, is as a whole; None if it is anything else.

    Line breaks inside strings are allowed, which JSON forbids and models write.
    """
    text = without_fence(reply).strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        found = json.loads(text, strict=False)
        # Half of a surrogate pair cannot be stored.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def member_of(reply: str, name: str) -> str:
    """The text called `name` in a reply that is a JSON object; otherwise the whole reply."""
    found = json_in(reply)
    member = found.get(name) if isinstance(found, dict) else None
    return member if isinstance(member, str) else reply
