"""Scripts of scenes, and protective ones."""

from typing import Any

import pytest

from synth.pipelines.character.perform import Perform
from synth.pipelines.character.profile import is_person
from synth.pipelines.character.protect import Protect
from tests.pipelines.character.acting import PROFILE, SCENE, SCRIPT, ids, script
from tests.pipelines.scripted import ScriptedTools, process


def test_a_scene_becomes_a_script() -> None:
    tools = ScriptedTools([script()])
    (row,), _, fault = process(Perform(), SCENE, tools)
    assert fault is None
    assert row == {
        **SCENE,
        "id": "ada/p0/r0/s0/script",
        "protective": False,
        "setting": "A garden, in June.",
        "dialogue": [
            {"role": "Ada Lane", "action": "thinking", "content": "A guest."},
            {"role": "Ada Lane", "action": "speaking", "content": "Good day."},
            {"role": "Bob", "action": "speaking", "content": "Are those bees?"},
        ],
        "words": 7,
        "model": "scripted",
    }
    assert dict(tools.tallies) == {"scripts": 1, "turns": 3, "words": 7}
    asked = "\n".join(message["content"] for message in tools.requests[0][0])  # type: ignore[index, union-attr]
    for text in ("Ada Lane (thinking)", "She keeps bees.", "chat", "A garden", "Ada shows Bob a hive.", "1200 words"):
        assert text in asked


HALF = "Ada Lane (speaking)\nGood day.\n\nBob (speaking)\nHo."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Once upon a time.", "empty"),
        ("Background: A garden.\n\nAda Lane (speaking)\n(nods)", "empty"),
        (f"Background: A garden.\n\n{HALF}", "short"),
        # The published parser counts this one as the third.
        (f"Background: A garden.\n\n{HALF}\n\nAda Lane (speaking)\n(nods)", "short"),
        (script(background=""), "no_background"),
        (script(*["Bob (speaking)\nHo."] * 3), "without_person"),
        ((script(), "length"), "truncated"),
        (("No.", "refused"), "refused"),
        (" ", "empty_answer"),
    ],
)
def test_each_fault_of_a_script_has_a_reason(reply: Any, reason: str) -> None:
    rows, _, fault = process(Perform(prompt=SCRIPT, tries=2), SCENE, ScriptedTools([reply] * 2))
    assert (rows, fault and fault.reason) == ([], reason)
    (row,), _, _ = process(Perform(prompt=SCRIPT, tries=3), SCENE, ScriptedTools([reply, reply, script()]))
    assert len(row["dialogue"]) == 3
    rows, rejected, fault = process(Protect(prompt=SCRIPT, tries=1), PROFILE, ScriptedTools([reply]))
    assert (rows, [one.reason for one in rejected], fault and fault.reason) == ([], [reason] * 2, reason)


def test_what_is_dropped_is_counted() -> None:
    tools = ScriptedTools([script() + "\n\nA bell rings.\n\nBob (speaking)\n(leaves)\n\nThe end."])
    process(Perform(), SCENE, tools)
    assert (tools.tallies["stage_directions"], tools.tallies["empty_turns"]) == (2, 1)


@pytest.mark.parametrize("column", ["name", "profile", "type", "location", "background"])
def test_a_scene_without_a_text_is_rejected(column: str) -> None:
    rows, _, fault = process(Perform(), {**SCENE, column: " "}, ScriptedTools([]))
    assert (rows, fault and fault.reason) == ([], f"no_{column}")


def test_a_profile_has_a_protective_script_for_each_paragraph() -> None:
    tools = ScriptedTools([script()])
    rows, rejected, fault = process(Protect(), PROFILE, tools)
    assert (rejected, fault) == ([], None)
    assert ids(rows) == ["ada/p0/protect", "ada/p1/protect"]
    assert [row["profile"] for row in rows] == ["She keeps bees.", "She sails alone."]
    assert all(row["protective"] and row["name"] == "Ada Lane" and len(row["dialogue"]) == 3 for row in rows)
    assert tools.tallies["scripts"] == 2


def test_no_prompt_asks_for_more_than_a_role() -> None:
    """The published ones tell the model to forget morals and laws."""
    for stage in (Perform(), Protect()):
        assert not any(word in stage.prompt.text.lower() for word in ("moral", "ethic", "legal", "law", "disregard"))


@pytest.mark.parametrize(
    ("role", "name", "same"),
    [
        ("Ada Lane", "Ada Lane", True),
        ("ADA", "Ada Lane", True),
        ("Beethoven", "Ludwig van Beethoven", True),
        ("Dr. Martin Luther King, Jr.", "Martin Luther King", True),
        ("Mrs. Lane", "Ada Lane", False),
        ("Bob", "Ada Lane", False),
        ("Wife of Spartacus", "Spartacus", False),
        ("???", "Ada Lane", False),
    ],
)
def test_whose_role_it_is(role: str, name: str, same: bool) -> None:
    assert is_person(role, name) is same
