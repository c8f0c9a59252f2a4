"""Find the JSON value in a reply."""

import json
from typing import Any

from synth.pipelines.runtime.text.fences import without_fence

__all__ = ["first_object", "json_in", "member_of"]


def json_in(reply: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that a reply, or the first fence in it, is as a whole; None if it is anything else.

    Line breaks inside strings are allowed, which JSON forbids and models write.
    """
    text = without_fence(reply).strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        found, end = _value_at(text, 0)
    except ValueError:
        return None
    return found if end == len(text) else None


def first_object(reply: str) -> dict[str, Any]:
    """The JSON object that begins with the first brace of a reply, whatever stands before and after it.

    Line breaks are allowed as in `json_in`. Raises `ValueError` if there is none.
    """
    start = reply.find("{")
    if start < 0:
        raise ValueError("no object in it")
    found: dict[str, Any] = _value_at(reply, start)[0]
    return found


def member_of(reply: str, name: str) -> str:
    """The text called `name` in a reply that is a JSON object; otherwise the whole reply."""
    found = json_in(reply)
    member = found.get(name) if isinstance(found, dict) else None
    return member if isinstance(member, str) else reply


def _value_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins there, and where it ends. Raises `ValueError`."""
    try:
        found, end = json.JSONDecoder(strict=False).raw_decode(text, start)
        # Half of a surrogate pair cannot be stored.
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found, end
