"""Reading terminates on any output of a program, never raises, and returns only what a worker could have written."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.sandbox.payload import read_payload
from synth.sandbox.values import READERS
from synth.sandbox.verdict import Outcome
from tests.hostile.payloads import SAMPLES, must_be_readable, must_round_trip, sample_frames


def frames(*answers: Any) -> bytes:
    bodies = [answer if isinstance(answer, bytes) else json.dumps(answer).encode() for answer in answers]
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def test_outcomes_are_in_the_order_of_the_inputs() -> None:
    answers = read_payload(frames([1, 0, "a"], [0, 1, "KeyError"], [2, 2, "generator"]), [1, 0, 2])
    assert answers.outcomes == [
        Outcome("exception", "KeyError"),
        Outcome("value", "a"),
        Outcome("unencodable", "generator"),
    ]
    assert (answers.load_error, answers.malformed) == ("", "")


def test_answers_before_a_truncated_frame_are_kept() -> None:
    answers = read_payload(frames([0, 0, 1], [1, 0, 2])[:-1], [0, 1])
    assert answers.outcomes == [Outcome("value", 1), None]
    assert answers.malformed


def test_a_load_error_is_the_only_frame() -> None:
    assert read_payload(frames([-1, 3, "SyntaxError"]), [0]).load_error == "SyntaxError"
    assert read_payload(frames([-1, 3, "SyntaxError"], [0, 0, 1]), [0]).malformed
    assert read_payload(frames([0, 0, 1], [-1, 3, "SyntaxError"]), [0]).malformed


def test_names_are_printable() -> None:
    (outcome,) = read_payload(frames([0, 1, "a\nb\x1b[31m"]), [0]).outcomes
    assert outcome == Outcome("exception", "a\\nb\\x1b[31m")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[0,0,1]x",
        b"[0,0,NaN]",
        b"[0,0,-Infinity]",
        b"[0,0,1e5]",
        b"[0,0,[1.0]]",
        b'[0,0,{"deque":[2.0,[]]}]',
        b"[0.0,0,1]",
        b'[0,0,"\\ud800"]',
        '[0,0,"\u00e4"]'.encode(),
        b'[0,0,"a\x01"]',
        b'[0,0,{"dict":[[1,0],[2,0],[1,0]]}]',
        b"[0,0]",
        b"[0,0,1,2]",
        b"[1,0,1]",
        b'["0",0,1]',
        b"[0,false,1]",
        b"[" * 60_000,
        b"[0,0," + b"9" * 4301 + b"]",
        b"[0,1,5]",
        b'[0,1,""]',
        b"\xff",
        b"{}",
        b"null",
        # Not possible in a set or dict: values that are equal in Python or unhashable.
        b'[0,0,{"set":[1,true]}]',
        b'[0,0,{"set":[{"float":"-0.0"},{"float":"0.0"}]}]',
        b'[0,0,{"set":[{"tuple":[1]},{"tuple":[{"float":"1.0"}]}]}]',
        b'[0,0,{"dict":[[1,0],[{"Decimal":"1.0"},0]]}]',
        b'[0,0,{"frozenset":[{"Decimal":"sNaN"}]}]',
        b'[0,0,{"set":[{"tuple":[[]]}]}]',
        # Computing this fraction would exhaust the memory.
        b'[0,0,{"Fraction":[{"Decimal":"1E+999999999"}]}]',
    ],
)
def test_a_frame_that_no_worker_writes_is_malformed(body: bytes) -> None:
    answers = read_payload(frames(body), [0])
    assert answers.malformed
    assert answers.outcomes == [None]


def test_keys_chosen_to_collide_do_not_take_quadratic_time() -> None:
    colliding = [{"tuple": [*places]} for places in product((-1, -2), repeat=10)]
    (outcome,) = read_payload(frames([0, 0, {"set": sorted(colliding, key=json.dumps)}]), [0]).outcomes
    assert outcome is None


def test_what_a_worker_writes_is_read_unchanged() -> None:
    must_round_trip([*SAMPLES, {(x, y): x for x, y in product((-1, -2), repeat=2)}, set(product((-1, -2), repeat=5))])
    for body in sample_frames():
        must_be_readable(frames(body), [0])


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(payload: bytes) -> None:
    must_be_readable(payload, [1, 0])


WORDS = ["0.0", "-0.0", "1.0", "1", "nan", "sNaN", "1E+9999999", "9007199254740992", "ff", "2024-02-29", "12:30:00"]
SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, -2, 2**53, 2**61 - 1]), st.sampled_from(WORDS), st.text(max_size=3)
)
# JSON that is nearly canonical.
FORGED = st.recursive(
    SCALARS,
    lambda of: st.one_of(
        st.lists(of, max_size=3),
        st.dictionaries(st.sampled_from([*READERS, "other"]), st.one_of(of, st.lists(of, max_size=3)), max_size=1),
        st.lists(st.tuples(of, of), max_size=2).map(lambda pairs: {"dict": pairs}),
        st.lists(of, max_size=3).map(lambda items: {"set": sorted(items, key=lambda item: (item in WORDS, str(item)))}),
    ),
    max_leaves=8,
)


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 3), FORGED), max_size=3))
def test_only_what_a_worker_could_have_written_is_accepted(answers: list[Any]) -> None:
    must_be_readable(frames(*answers), [0, 1])
    must_be_readable(frames(*([place, 0, data] for place, (_, _, data) in enumerate(answers))), range(len(answers)))
