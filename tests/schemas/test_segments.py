"""Text of which parts are not learnt."""

from typing import Any

import pytest

from synth.schemas.segments import LEARNT, NOT_LEARNT, fault_of, joined, learnt_tokens, segment, spans, unlearnt

PARTS = [segment("It is B.", NOT_LEARNT), segment("\nNo.", LEARNT), segment("\nIt is C.", LEARNT)]


def test_the_joined_text_is_that_of_the_turn_to_the_character() -> None:
    text = joined(PARTS)
    assert text == "It is B.\nNo.\nIt is C."
    assert [text[first:stop] for first, stop in spans(PARTS)] == [part["text"] for part in PARTS]
    assert unlearnt(PARTS) == [(0, 8)]
    assert fault_of(PARTS, text) is None


@pytest.mark.parametrize(
    ("parts", "turn", "said"),
    [
        (PARTS, "It is B.\nNo.", "are not the text of the assistant's last turn"),
        (PARTS, None, "are not the text of the assistant's last turn"),
        ([PARTS[0], {"text": None, "loss": 1}], "It is B.", "segment 2 has no text"),
        ([None], "", "segment 1 has no text"),
        ([{"text": "It", "loss": 2}], "It", "the loss of segment 1 is 2, where 0 or 1 is needed"),
        ([{"text": "It", "loss": None}], "It", "the loss of segment 1 is None"),
    ],
)
def test_what_is_not_the_parts_of_a_turn_is_named(parts: list[Any], turn: str | None, said: str) -> None:
    assert said in (fault_of(parts, turn) or "")


def test_a_token_across_a_border_is_not_learnt() -> None:
    #         It     is      B      .\n     No     .
    offsets = [(0, 2), (2, 5), (5, 7), (7, 9), (9, 11), (11, 12)]
    assert list(learnt_tokens(offsets, [(0, 8)])) == [False, False, False, False, True, True]
    assert list(learnt_tokens(offsets, [])) == [True] * 6


def test_a_token_has_the_blank_before_it_even_if_its_offsets_leave_it_out() -> None:
    # The blank between both words is the end of a part that is not learnt.
    assert list(learnt_tokens([(0, 2), (3, 5)], [(0, 3)])) == [False, False]
    assert list(learnt_tokens([(0, 2), (3, 5)], [(0, 2)])) == [False, True]


def test_several_tokens_of_one_character_share_its_fate() -> None:
    assert list(learnt_tokens([(0, 1), (0, 1), (0, 1), (1, 2)], [(0, 1)])) == [False, False, False, True]
