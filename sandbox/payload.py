"""Parses the answers of a program. Every byte must be assumed hostile."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from synth.sandbox.checking import check
from synth.sandbox.values import MAX_BYTES
from synth.sandbox.verdict import Outcome

__all__ = ["Answers", "read_payload"]

_MAX_FRAME = MAX_BYTES + 64
_MAX_WORDS = 400
_LOAD_ERROR, _LOADED = 3, 4


@dataclass
class Answers:
    """What could be read: outcomes by the place of their input, whether the program loaded or why not, and what was
    malformed."""

    outcomes: list[Outcome | None]
    loaded: bool = False
    load_error: str = ""
    malformed: str = ""


def read_payload(payload: bytes, order: Sequence[int]) -> Answers:
    """Read frames, a length (four bytes, big-endian) and JSON [input, kind, data] each, in the order of the inputs.

    The first one, about input -1, says that the program has loaded, or why not.

    Never raises: reading ends at the first thing that the worker would not have written, and `malformed` names it. The
    time taken is linear in the payload.
    """
    answers = Answers([None] * len(order))
    at = done = 0
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 4], "big")
        body = payload[at + 4 : at + 4 + size]
        if len(body) < size or size > _MAX_FRAME or answers.load_error:
            answers.malformed = "a frame that is cut short, too long, or one too many"
            return answers
        at += 4 + size
        try:
            index, kind, data = _frame(body)
            if (index, kind, done, data) == (-1, _LOADED, 0, None) and not answers.loaded:
                answers.loaded = True
                continue
            if (index, kind, done) == (-1, _LOAD_ERROR, 0) and not answers.loaded:
                answers.load_error = _words(data)
                continue
            if done == len(order) or index != order[done]:
                raise ValueError("it answers an input that is not the next")
            answers.outcomes[index] = _outcome(kind, data)
            done += 1
        except (ValueError, RecursionError) as error:
            answers.malformed = (str(error) or type(error).__name__)[:200]
            return answers
    return answers


def _frame(body: bytes) -> tuple[int, int, Any]:
    parts = _DECODER.decode(body.decode("ascii"))
    if type(parts) is not list or len(parts) != 3 or type(parts[0]) is not int or type(parts[1]) is not int:
        raise ValueError("a frame that is no answer")
    return parts[0], parts[1], parts[2]


def _outcome(kind: int, data: Any) -> Outcome:
    if kind == 0:
        check(data)
        return Outcome("value", data)
    if kind == 1:
        return Outcome("exception", _words(data))
    if kind == 2:
        return Outcome("unencodable", _words(data))
    raise ValueError("an answer of a kind that there is not")


def _words(data: Any) -> str:
    if type(data) is not str or not 0 < len(data) <= _MAX_WORDS:
        raise ValueError("a name that is no name")
    return data if data.isprintable() else repr(data)[1:-1]


def _refuse(text: str) -> NoReturn:
    # Canonical values write them as tagged text.
    raise ValueError(f"a number that no canonical value has: {text[:20]}")


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_refuse)
