"""Whatever a program writes, reading it ends, raises nothing, and gives nothing that no worker would have written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.checking import check
from sandbox.payload import read_payload
from sandbox.verdict import Outcome


def frames(*answers: Any) -> bytes:
    bodies = [answer if isinstance(answer, bytes) else json.dumps(answer).encode() for answer in answers]
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def test_answers_come_to_the_places_of_their_inputs() -> None:
    answers = read_payload(frames([1, 0, "a"], [0, 1, "KeyError"], [2, 2, "generator"]), [1, 0, 2])
    assert answers.outcomes == [
        Outcome("exception", "KeyError"),
        Outcome("value", "a"),
        Outcome("unencodable", "generator"),
    ]
    assert (answers.load_error, answers.malformed) == ("", "")


def test_what_was_answered_before_a_cut_is_kept() -> None:
    answers = read_payload(frames([0, 0, 1], [1, 0, 2])[:-1], [0, 1])
    assert answers.outcomes == [Outcome("value", 1), None]
    assert answers.malformed


def test_a_program_that_does_not_load_says_so_first_and_last() -> None:
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
    ],
)
def test_a_frame_that_no_worker_writes_is_malformed(body: bytes) -> None:
    answers = read_payload(frames(body), [0])
    assert answers.malformed
    assert answers.outcomes == [None]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(payload: bytes) -> None:
    read_payload(payload, [0, 1])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda of: st.one_of(st.lists(of, max_size=4), st.dictionaries(st.sampled_from(["set", "dict", "int", "x"]), of)),
)


@given(st.lists(st.one_of(JSON, st.tuples(st.integers(-1, 2), st.integers(0, 3), JSON)), max_size=4))
def test_what_is_accepted_is_canonical(answers: list[Any]) -> None:
    read = read_payload(frames(*answers), [0, 1])
    for outcome in read.outcomes:
        if outcome is not None and outcome.kind == "value":
            check(outcome.data)
    assert len(read.outcomes) == 2
