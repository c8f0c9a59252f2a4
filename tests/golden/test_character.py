"""The worked vectors of Character-LLM (arXiv 2310.10158): its nine profiles, and what its parsers make of replies."""

from random import Random
from typing import Any

import pytest

from synth.pipelines.character.convert import Convert
from synth.pipelines.character.scene_list import read_scenes
from synth.pipelines.character.scenes import requests_of_each
from synth.pipelines.character.script import Turn, read_script
from synth.pipelines.runtime.stage import Row
from tests.pipelines.scripted import ScriptedTools, process

# What makes Ada and Bob roles, where a block alone does not.
BEFORE = "Ada (speaking)\nWell.\n\nBob (speaking)\nWell.\n\n"


@pytest.mark.parametrize(
    ("person", "paragraphs", "rounds", "drawn"),
    [
        ("Beethoven", 59, 1, 41),
        ("Caesar", 82, 1, 18),
        ("Cleopatra", 71, 1, 29),
        ("Hermione", 22, 4, 12),
        ("Martin", 115, 1, 0),
        ("Newton", 65, 1, 35),
        ("Socrates", 50, 2, 0),
        ("Spartacus", 13, 7, 9),
        ("Voldemort", 30, 3, 10),
    ],
)
def test_the_requests_for_scenes(person: str, paragraphs: int, rounds: int, drawn: int) -> None:
    times = requests_of_each([100] * paragraphs, 100, Random(person))
    assert len(times) == paragraphs
    assert min(times) >= rounds
    assert sum(times) == paragraphs * rounds + drawn


def turn(role: str, action: Any, content: str) -> Turn:
    return Turn(role=role, action=action, content=content)


@pytest.mark.parametrize(
    ("block", "turns"),
    [
        ("Ada (speaking)\nHi.", [turn("Ada", "speaking", "Hi.")]),
        # The published parser takes the first line for the action.
        ("Ada (speaking)\nFirst.\nSecond.", [turn("Ada", "speaking", "First.\nSecond.")]),
        # It drops these.
        ("Ada (speaking)\nFirst.\nSecond.\nThird.", [turn("Ada", "speaking", "First.\nSecond.\nThird.")]),
        # It cuts this to "The time is 10".
        ("Bob: The time is 10:30.", [turn("Bob", None, "The time is 10:30.")]),
        # It has a role "The door opens" here.
        ("The door opens (slowly) and wind enters.", []),
        # It keeps this as an empty turn.
        ("Ada (speaking)\n(nods)", []),
        ("Ada (speaking)\n(smiles) Hello", [turn("Ada", "speaking", "Hello")]),
    ],
)
def test_the_blocks_of_a_script(block: str, turns: list[Turn]) -> None:
    script = read_script(BEFORE + block)
    assert list(script.turns[2:]) == turns
    assert (script.directions, script.empty) == (int("door" in block), int("nods" in block))


@pytest.mark.parametrize(
    ("reply", "scene"),
    [
        ("Scene 1:\nType: Chat\nLocation: A hall\nBackground: They meet.", ("Chat", "A hall", "They meet.")),
        ("Scene 2: Debate\nLocation: A hall\nBackground: They meet.", ("Debate", "A hall", "They meet.")),
        # The published parser has "**Chat" as the type,
        (
            "**Scene 1:**\n**Type:** Chat\n**Location:** A hall\n**Background:** They meet.",
            ("Chat", "A hall", "They meet."),
        ),
        # and only the first line of the background.
        (
            "Type: Chat\nLocation: A hall\nBackground: They meet\nin the evening.",
            ("Chat", "A hall", "They meet in the evening."),
        ),
    ],
)
def test_the_fields_of_a_scene(reply: str, scene: tuple[str, str, str]) -> None:
    assert read_scenes(reply) == [dict(zip(("type", "location", "background"), scene, strict=True))]


PLAYED = {
    "id": "ada/p0/r0/s0/script",
    "name": "Ada",
    "protective": False,
    "location": "A hall",
    "setting": "It is late.",
    "dialogue": [
        turn("Ada", "speaking", "Hi."),
        turn("Ada", "speaking", "You came."),
        turn("Bob", None, "Yes."),
        turn("Ada", "thinking", "Odd."),
    ],
}


def converted(**changes: Any) -> Row:
    (row,), _, _ = process(Convert(), {**PLAYED, **changes}, ScriptedTools([]))
    return row


def test_the_turns_of_a_scene() -> None:
    assert converted()["output"] == (
        "Ada (speaking): Hi.\nYou came.<|eot|>\nBob (speaking): Yes.<|eot|>\nAda (thinking): Odd.<|eot|>"
    )


def test_the_turns_of_a_protective_scene() -> None:
    row = converted(protective=True)
    assert row["output"].endswith("Bob (speaking): Yes.<|eot|>\nAda (speaking): Odd.<|eot|>")
    assert "Location: A room\nStatus: Ada is chatting with a person.\n" in row["prompt"]
    assert "It is late." not in row["prompt"]
    assert "Location: A hall\nStatus: It is late.\n" in converted()["prompt"]
