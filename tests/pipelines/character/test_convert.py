"""Training rows of scripts."""

from typing import Any

import pytest

from synth.pipelines.character.convert import Convert
from synth.pipelines.runtime.prompts import Prompt
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import ScriptedTools, process

ROW: dict[str, Any] = {
    "id": "ada/p0/r0/s0/script",
    "name": "Ada Lane",
    "protective": None,
    "location": "A garden",
    "setting": "It is June.",
    "dialogue": [],
}
ADA, THOUGHT, BOB = ("Ada Lane", "speaking", "Hi."), ("Ada Lane", "thinking", "Odd."), ("Bob", None, "Ho.")
CAT = ("Cat", "(speaking)", "Hm.")


def played(*turns: tuple[str | None, str | None, str | None], **changes: Any) -> dict[str, Any]:
    dialogue = [dict(zip(("role", "action", "content"), turn, strict=True)) for turn in turns]
    return {**ROW, "dialogue": dialogue, **changes}


def chat(*turns: tuple[str | None, str | None, str | None], **changes: Any) -> list[tuple[str, str]]:
    (row,), _, _ = process(Convert(), played(*turns, **changes), ScriptedTools([]))
    return [(message["role"], message["content"].removeprefix(row["prompt"])) for message in row["messages"]]


def test_a_row_ends_with_the_mark_and_says_how_many_turns_it_has() -> None:
    tools = ScriptedTools([])
    (row,), _, _ = process(Convert(end_of_turn="<END>"), played(ADA, ADA, ADA), tools)
    assert row["output"] == "Ada Lane (speaking): Hi.\nHi.\nHi.<END>"
    assert (row["turns"], row["source"], row["id"]) == (3, "scene", ROW["id"])
    process(Convert(), played(ADA, BOB, ADA, protective=True), tools)
    # The share of protective rows, and the turns of a row.
    assert dict(tools.tallies) == {"converted": 2, "turns": 6, "protective": 1}
    assert Convert().means == {"turns": "converted", "protective": "converted"}


def test_in_a_chat_the_person_is_the_assistant_and_others_are_the_user() -> None:
    ada, bob, cat = "Ada Lane (speaking): Hi.", "Bob (speaking): Ho.", "Cat (speaking): Hm."
    thought = "Ada Lane (thinking): Odd."
    assert chat(ADA, BOB, CAT, THOUGHT, ADA) == [
        ("user", ""),
        ("assistant", ada),
        ("user", f"{bob}\n{cat}"),
        ("assistant", f"{thought}\n{ada}"),
    ]
    # What comes before the person's first turn belongs to the prompt; what comes after the last teaches nothing.
    assert chat(BOB, CAT, ADA, BOB) == [("user", f"\n\n{bob}\n{cat}"), ("assistant", ada)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (played(ADA, BOB), "short"),
        (played(ADA, BOB, ("Bob", None, " ")), "short"),
        (played(), "empty"),
        (played(BOB, BOB, CAT), "without_person"),
        (played(ADA, BOB, ("Bob", None, "It is <|eot|> here.")), "mark_in_text"),
        (played(ADA, BOB, ADA, name=" "), "no_name"),
        (played(ADA, BOB, ADA, location=None), "no_location"),
        (played(ADA, BOB, ADA, setting=" "), "no_setting"),
    ],
)
def test_a_script_that_cannot_be_learnt_from_is_rejected(row: dict[str, Any], reason: str) -> None:
    rows, _, fault = process(Convert(), row, ScriptedTools([]))
    assert (rows, fault and fault.reason) == ([], reason)


def test_a_protective_row_needs_no_place() -> None:
    rows, _, _ = process(
        Convert(), played(ADA, BOB, ADA, protective=True, location=None, setting=None), ScriptedTools([])
    )
    assert [row["source"] for row in rows] == ["protective"]


def test_turns_without_a_role_or_a_text_are_dropped_and_counted() -> None:
    tools = ScriptedTools([])
    (row,), _, _ = process(Convert(), played(ADA, (None, None, "x"), BOB, ("Bob", "speaking", None), ADA), tools)
    assert (row["turns"], tools.tallies["empty_turns"]) == (3, 2)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--prompt own\.md is a chat"):
        Convert(prompt=Prompt("# user\n{{ name }}", "own.md"))
    with pytest.raises(UsageError, match="--end-of-turn is blank"):
        Convert(end_of_turn=" ")
