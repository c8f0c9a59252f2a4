"""Scenes from the paragraphs of a profile."""

import json
from random import Random

import pytest

from synth.pipelines.character.scene_list import missing, read_scenes
from synth.pipelines.character.scenes import Scenes, requests_of_each
from synth.pipelines.runtime.prompts import Prompt
from tests.pipelines.character.acting import PROFILE, SCENES, ids, scene, scenes
from tests.pipelines.scripted import ScriptedTools, process


def test_each_paragraph_is_asked_about_and_each_scene_is_a_row() -> None:
    tools = ScriptedTools([scenes(2)])
    rows, rejected, fault = process(Scenes(requests=2, n=2), PROFILE, tools)
    assert (rejected, fault) == ([], None)
    assert ids(rows) == ["ada/p0/r0/s0", "ada/p0/r0/s1", "ada/p1/r0/s0", "ada/p1/r0/s1"]
    assert {row["name"] for row in rows} == {"Ada Lane"}
    assert rows[3] == {
        "id": "ada/p1/r0/s1",
        "name": "Ada Lane",
        "profile": "She sails alone.",
        "type": "Chat",
        "location": "A garden",
        "background": "Ada meets guest 2.",
        "reasoning": None,
        "model": "scripted",
    }
    asked = [prompt[-1]["content"] for prompt, _, _ in tools.requests]  # type: ignore[index]
    assert ["bees" in text for text in asked] == [True, False]


def test_more_requests_draw_paragraphs_by_the_length_of_their_prompts() -> None:
    tools = ScriptedTools([scenes(1)] * 9)
    rows, _, _ = process(Scenes(prompt=SCENES, requests=3, n=1, tries=1), PROFILE, tools)
    assert len(rows) == 3
    assert {"ada/p0/r0/s0", "ada/p1/r0/s0"} < {*ids(rows)}
    # Three rounds of both, and a long paragraph nearly always gets what is left.
    assert requests_of_each([1, 1000], 7, Random(1)) == [3, 4]
    times = requests_of_each([100, 300], 401, Random(1))
    assert times in ([200, 201], [201, 200])
    assert sum(requests_of_each([100, 300, 100], 401, Random(1))) == 401
    # A single request is drawn from them in proportion.
    drawn = [requests_of_each([100, 300], 3, Random(seed))[1] - 1 for seed in range(400)]
    assert 250 < sum(drawn) < 350


class Drawing(ScriptedTools):
    """Draws otherwise for each number, as the tools of a run do for each row."""

    def __init__(self, number: int) -> None:
        super().__init__([scenes(1)] * 2)
        self._number = number

    def random(self, *purpose: str | int) -> Random:
        return super().random(*purpose, self._number)


def test_the_length_that_counts_is_that_of_the_whole_prompt() -> None:
    """So that a paragraph of one letter is drawn about as often as another one, if the prompt around it is long."""
    profile = {**PROFILE, "profile": f"# Ada\n\nA\n\n{'B' * 1000}"}
    drawn = []
    for around in ("", "x" * 100_000):
        stage = Scenes(prompt=Prompt(f"# user\n{around}{{{{ profile }}}}", "own"), requests=3, n=1, tries=1)
        made = [process(stage, profile, Drawing(number))[0] for number in range(20)]
        drawn.append(sum("ada/p0/r1/s0" in ids(rows) for rows in made))
    assert drawn[0] == 0
    assert 4 < drawn[1] < 16


def test_there_are_never_more_scenes_than_were_asked_for() -> None:
    tools = ScriptedTools([scenes(25)])
    rows, _, _ = process(Scenes(requests=1), PROFILE, tools)
    assert len(rows) == 40
    assert tools.tallies["surplus_scenes"] == 10


def test_scenes_that_lack_something_are_filtered() -> None:
    tools = ScriptedTools(["Scene 1: Chat\nBackground: They meet.\n\n" + scene(2)])
    rows, rejected, _ = process(Scenes(requests=1, n=2), {**PROFILE, "profile": "# Ada\n\nBees."}, tools)
    assert ids(rows) == ["ada/p0/r0/s1"]
    assert [(one.row["id"], one.reason, one.detail) for one in rejected] == [
        ("ada/p0/r0/s0", "incomplete", "it has no location")
    ]


def test_the_scene_at_which_the_token_limit_cuts_is_filtered() -> None:
    tools = ScriptedTools([(scenes(3), "length")])
    rows, rejected, _ = process(Scenes(requests=1), {**PROFILE, "profile": "# Ada\n\nBees."}, tools)
    assert ids(rows) == ["ada/p0/r0/s0", "ada/p0/r0/s1"]
    assert [(one.row["id"], one.reason) for one in rejected] == [("ada/p0/r0/s2", "truncated")]


def test_an_unreadable_reply_is_replaced_by_the_next_sample() -> None:
    tools = ScriptedTools(["Certainly!", (scene(1), "length"), scene(1), "never"] * 2)
    rows, _, fault = process(Scenes(prompt=SCENES, requests=4, n=1), PROFILE, tools)
    assert fault is None
    # Two requests about each paragraph, four samples for each.
    assert ids(rows) == ["ada/p0/r0/s0", "ada/p0/r1/s0", "ada/p1/r0/s0", "ada/p1/r1/s0"]
    assert sorted({samples.start for _, _, samples in tools.requests}) == [0, 1, 2, 4, 5, 6]


def test_a_request_without_scenes_is_filtered_and_a_profile_without_any_is_rejected() -> None:
    class Mute(ScriptedTools):
        async def generate(self, prompt, *rest, **named):  # type: ignore[no-untyped-def]
            self._script = [("No.", "stop") if "bees" in str(prompt) else (scene(1), "stop")] * 9
            return await super().generate(prompt, *rest, **named)

    stage = Scenes(prompt=SCENES, requests=1, tries=2)
    rows, rejected, fault = process(stage, PROFILE, Mute([]))
    assert (ids(rows), fault) == (["ada/p1/r0/s0"], None)
    assert [(one.row["id"], one.reason) for one in rejected] == [("ada/p0/r0", "no_scene")]
    rows, rejected, fault = process(stage, PROFILE, ScriptedTools(["No."] * 2))
    assert (rows, len(rejected), fault and fault.reason) == ([], 2, "no_scene")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"profile": " \n"}, "no_profile"),
        ({"profile": "She keeps bees."}, "no_name"),
        ({"profile": "#Ada\n\nShe keeps bees."}, "no_name"),
        ({"profile": "# Ada\n\n \n"}, "no_paragraph"),
        ({"profile": "# Ada", "name": "Ada Lane"}, "no_paragraph"),
    ],
)
def test_a_profile_that_cannot_be_used_is_rejected(changes: dict[str, str], reason: str) -> None:
    rows, _, fault = process(Scenes(), {**PROFILE, **changes}, ScriptedTools([]))
    assert (rows, fault and fault.reason) == ([], reason)


def test_a_name_in_its_column_comes_before_that_in_the_title() -> None:
    for profile in ("She keeps bees.", "# Ada\n\nShe keeps bees.", "\n# Ada\nShe keeps bees."):
        row = {**PROFILE, "name": "Ada Lane", "profile": profile}
        (made,), _, _ = process(Scenes(requests=1), row, ScriptedTools([scene(1)]))
        assert (made["name"], made["profile"]) == ("Ada Lane", "She keeps bees.")


@pytest.mark.parametrize(
    "reply",
    [
        "Here you are:\n\n{}\n\nDo you need more?",
        "{}\nThat is all: enjoy.",
    ],
)
def test_what_stands_around_scenes_is_no_scene(reply: str) -> None:
    assert read_scenes(reply.format(scenes(2))) == read_scenes(scenes(2))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("Scene ", "### Scene "),
        lambda text: text.replace("Type:", "- **Type:**").replace("Background:", "* **Background**:"),
        lambda text: text.replace("Type: Chat\n", "").replace("1:", "1 – Chat").replace("2:", "2. Chat"),
        lambda text: text.replace("Scene 1:\nType", "1. Type").replace("Scene 2:\nType", "2. Type"),
        lambda text: text.replace("Background: ", "Background:\n"),
        lambda text: (
            text.replace("Type", "TYPE").replace("guest 2.", "guest\n2.").replace("Location", "Mood: x\nLocation")
        ),
    ],
)
def test_scenes_are_read_in_every_layout(change) -> None:  # type: ignore[no-untyped-def]
    assert change(scenes(2)) != scenes(2)
    assert read_scenes(change(scenes(2))) == read_scenes(scenes(2))


def test_scenes_in_json() -> None:
    members = [{"type": "chat", "location": " A\nhall ", "background": "x", "mood": "y"}, {"type": 3}, "chat"]
    expected = [{"type": "chat", "location": "A hall", "background": "x"}, {}]
    assert read_scenes(json.dumps({"scenes": members})) == read_scenes(json.dumps(members)) == expected
    assert missing(expected[1]) == ["type", "location", "background"]


@pytest.mark.parametrize("reply", ["", "No.", "{}", '{"scenes": 1}', "Scene", "Types: chat"])
def test_what_is_no_list_has_no_scene(reply: str) -> None:
    assert read_scenes(reply) == []
