"""Properties of any payload that the host reads and of any value that a worker sends, and samples to start from.

Shared by `fuzz_payload` and tests/sandbox/test_payload.py.
"""

import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from synth.sandbox.payload import read_payload
from synth.sandbox.values import Unencodable, decode, encode, encode_text, equal, shown
from synth.sandbox.verdict import Outcome

__all__ = ["SAMPLES", "frame", "must_be_readable", "must_round_trip", "sample_frames"]

# At least one value of every canonical type.
SAMPLES: list[Any] = [
    [None, True, 7, -(2**53), 2**70, 1.5, float("nan"), float("-inf"), -0.0, 1j],
    ["text", "ünï\u2028", "\ud800", b"\0\xff", bytearray(b"ab")],
    ((), (1,), ((-1, -2), [-2, -1])),
    [{3, 1, "b", "a", 2.5, None, (1, 2), frozenset({"x", 9})}, set(), frozenset()],
    {"a": [1, {"b": ()}], (0, 1): 2, None: {}, 2.5: "x", True: 3},
    [OrderedDict([("z", 1), ("a", 2)]), Counter("abca"), defaultdict(list, {1: [2]}), defaultdict(None), deque([1], 3)],
    [
        range(9),
        range(5, -5, -2),
        timedelta(-1, 5, 7),
        Fraction(-3, 7),
        Decimal("1E+400"),
        Decimal("-0.00"),
        Decimal("NaN"),
    ],
    [list(range(-20, 20)), ["a", "ä"] * 20, {f"{n}" for n in range(40)}, {n: n for n in range(40)}, [0.5] * 40],
    [date(2024, 2, 29), datetime(1, 1, 1, 0, 0, 0, 7), datetime(2024, 5, 6, tzinfo=UTC), time(23, 59)],
]


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def sample_frames() -> Iterator[bytes]:
    """Bodies of frames as workers write them, each with an answer to input 0."""
    for sample in SAMPLES:
        yield f"[0,0,{encode_text(sample)}]".encode()
        for part in sample:
            yield f"[0,0,{encode_text(part)}]".encode()
    yield b'[0,1,"ValueError"]'
    yield b'[0,2,"generator"]'
    yield b'[-1,3,"SyntaxError: invalid syntax"]'


def must_be_readable(payload: bytes, order: Sequence[int]) -> None:
    """Reading it never raises and returns only what a worker could have written."""
    answers = read_payload(payload, order)
    assert len(answers.outcomes) == len(order)
    answered = [answers.outcomes[place] is not None for place in order]
    assert answered == sorted(answered, reverse=True), "an input was left out"
    assert not (answers.load_error and any(answered))
    assert answers.malformed or answers.load_error or any(answered) or not payload
    assert len(answers.malformed) <= 200
    assert answers.load_error.isprintable()
    for outcome in answers.outcomes:
        if outcome is not None:
            _must_be_valid(outcome)


def _must_be_valid(outcome: Outcome) -> None:
    if outcome.kind == "value":
        assert json.dumps(encode(decode(outcome.data))) == json.dumps(outcome.data)
        assert equal(outcome.data, outcome.data)
        shown(outcome.data).encode()
    else:
        assert outcome.kind in ("exception", "unencodable")
        assert outcome.data
        assert outcome.data.isprintable()


def must_round_trip(values: Sequence[Any]) -> None:
    """A worker's answers with these values are read unchanged; values that cannot be encoded are skipped."""
    texts = []
    for value in values:
        try:
            texts.append(encode_text(value))
        except Unencodable:
            continue
    order = range(len(texts))[::-1]
    payload = b"".join(frame(f"[{place},0,{texts[place]}]".encode()) for place in order)
    answers = read_payload(payload, order)
    assert not answers.malformed, answers.malformed
    assert answers.outcomes == [Outcome("value", json.loads(text)) for text in texts]
    assert [encode_text(decode(outcome.data)) for outcome in answers.outcomes if outcome] == texts
