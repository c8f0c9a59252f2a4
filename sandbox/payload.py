"""Parses the answers of a program. Every byte is untrusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from synth.sandbox.checking import check
from synth.sandbox.values import MAX_BYTES
from synth.sandbox.verdict import Outcome

__all__ = ["Answers", "read_payload"]

_MAX_FRAME = MAX_BYTES + 64
_MAX_NAME = 400
_LOAD_ERROR, _LOADED = 3, 4


@dataclass
class Answers:
    """The parsed part of the output: outcomes by input, whether or why not the program loaded, and the first error."""

    outcomes: list[Outcome | None]
    loaded: bool = False
    load_error: str = ""
    malformed: str = ""


def read_payload(payload: bytes, order: Sequence[int]) -> Answers:
    """Parse frames: a length (four bytes, big-endian) and JSON [input, kind, data], in the order of the inputs.

    The first frame, for input -1, reports that the program has loaded, or why not.

    Never raises: parsing stops at the first bytes that the worker would not have written, described in `malformed`.
    Takes linear time.
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
                answers.load_error = _name(data)
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
    if not body.isascii():
        raise ValueError("a frame that is not ASCII")
    # Accepts floats, which canonical values write as tagged strings; `check` does not.
    parts = _read_json(body)
    if type(parts) is not list or len(parts) != 3 or type(parts[0]) is not int or type(parts[1]) is not int:
        raise ValueError("a frame that is no answer")
    return parts[0], parts[1], parts[2]


def _outcome(kind: int, data: Any) -> Outcome:
    if kind == 0:
        check(data)
        return Outcome("value", data)
    if kind == 1:
        return Outcome("exception", _name(data))
    if kind == 2:
        return Outcome("unencodable", _name(data))
    raise ValueError("an answer of a kind that there is not")


def _name(data: Any) -> str:
    if type(data) is not str or not 0 < len(data) <= _MAX_NAME:
        raise ValueError("a name that is no name")
    return data if data.isprintable() else repr(data)[1:-1]


_read_json = msgspec.json.Decoder().decode
