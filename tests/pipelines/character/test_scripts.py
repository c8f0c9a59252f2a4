"""Reading scripts: what is a turn, whose it is, and what is left out."""

import json

import pytest

from synth.pipelines.character.script import action_in, read_script


def said(reply: str) -> list[tuple[str, str | None, str]]:
    return [(turn["role"], turn["action"], turn["content"]) for turn in read_script(reply).turns]


@pytest.mark.parametrize(
    "reply",
    [
        "Ada (speaking)\nHi.\n\nBob (speaking)\nYes?",
        "Ada (speaking):\nHi.\n\nBob (speaking):\nYes?",
        "Ada (speaking): Hi.\n\nBob (speaking): Yes?",
        "Ada (speaking): Hi.\nBob (speaking): Yes?",
        "Ada (speaking)\nHi.\nBob (speaking)\nYes?",
        "Ada (speaking)\n\nHi.\n\nBob (speaking)\n\nYes?",
        "**Ada** (speaking)\nHi.\n\n**Bob (speaking)**\nYes?",
        "### Ada (Speaking)\nHi.\n\n- Bob (SPEAKING)\nYes?",
        'Ada (speaking softly)\n"Hi."\n\nBob (speaking, still at the door)\n“Yes?”',
        "Ada（speaking）\nHi.\n\nBob （speaking）：\nYes?",
        "Ada (speaking)\r\nHi.\r\n\r\nBob (speaking)\r\nYes?",
        "Ada (speaking)\nHi.\n \t\nBob (speaking)\nYes?",
    ],
)
def test_turns_are_read_in_every_layout(reply: str) -> None:
    assert said(reply) == [("Ada", "speaking", "Hi."), ("Bob", "speaking", "Yes?")]


def test_a_name_before_a_colon_is_a_role_if_it_heads_a_paragraph_somewhere() -> None:
    reply = "Ada:\nHi.\n\nAda: Sit down.\n\nBob: Yes?\n\nLater that day: nothing."
    script = read_script(reply)
    assert [turn["content"] for turn in script.turns] == ["Hi.", "Sit down."]
    assert script.directions == 2
    assert len(read_script(f"{reply}\n\nBob (thinking)\nOdd.").turns) == 4


@pytest.mark.parametrize(
    "line",
    ["Note:", "Scene 2:", "Location:", "My dear friends, listen:", "I have three wishes:", "What now?:", "12:"],
)
def test_what_is_no_name_begins_no_turn(line: str) -> None:
    assert said(f"Ada (speaking)\nHi.\n\n{line}\nSomething.") == [("Ada", "speaking", "Hi.")]


@pytest.mark.parametrize("name", ["Dr. Ada van der Lane", "Ludwig II", "The Keeper of the Light", "李雷", "D'Arcy"])
def test_names_may_have_several_words(name: str) -> None:
    assert said(f"{name}:\nHi.") == [(name, None, "Hi.")]


def test_a_role_is_spelled_as_it_is_first() -> None:
    reply = "Ada Lane (speaking)\nHi.\n\nADA  LANE (thinking)\nOdd."
    assert [role for role, _, _ in said(reply)] == ["Ada Lane", "Ada Lane"]


def test_other_actions_of_a_role_count_as_none() -> None:
    others = ["Ada (smiling)\nSit down.", "Ada (rising): Wait.", "Ada (slowly) rises.", "Bob (waving)\nHo."]
    script = read_script("\n\n".join(["Ada (speaking)\nHi.", *others]))
    assert [(turn["action"], turn["content"]) for turn in script.turns] == [
        ("speaking", "Hi."),
        (None, "Sit down."),
        (None, "Wait."),
    ]
    assert script.directions == 2


def test_remarks_and_quotes_are_removed_but_not_marks_within() -> None:
    blocks = ['(to Bob) "Come." (He comes.)\n"Sit."', '"No," he said, "I stand."', "..."]
    script = read_script("\n\n".join(f"Ada (speaking)\n{block}" for block in blocks))
    assert [turn["content"] for turn in script.turns] == ["Come.\nSit.", '"No," he said, "I stand."']
    assert script.empty == 1


@pytest.mark.parametrize(
    ("beginning", "setting", "directions"),
    [
        ("Background:\nA garden.\nIt is June.", "A garden. It is June.", 0),
        ("Background: A garden.", "A garden.", 0),
        ("**Background:**\n\nA garden.", "A garden.", 0),
        ("## Background\nA garden.", "A garden.", 0),
        ("Here is the script.\n\nBackground: A garden.", "A garden.", 1),
        ("Background:\nA garden.\n\nBackground:\nA street.", "A garden.", 1),
        ("A garden.", "", 1),
    ],
)
def test_the_background(beginning: str, setting: str, directions: int) -> None:
    script = read_script(f"{beginning}\n\nAda (speaking)\nThe background: bees.")
    assert script.setting == setting
    assert [turn["content"] for turn in script.turns] == ["The background: bees."]
    assert script.directions == directions


def test_a_script_in_json() -> None:
    turns = [
        {"role": "Ada", "action": "thinking", "content": "(aside) Odd."},
        {"role": "Bob", "action": "waving", "content": "Hi."},
        {"role": "Bob", "content": "(nods)"},
        {"role": None, "content": "Who?"},
        "Ada: Hi.",
    ]
    script = read_script(json.dumps({"background": " A garden,\n in June. ", "turns": turns}))
    assert script.setting == "A garden, in June."
    assert [(turn["role"], turn["action"], turn["content"]) for turn in script.turns] == [
        ("Ada", "thinking", "Odd."),
        ("Bob", None, "Hi."),
    ]
    assert script.empty == 3


@pytest.mark.parametrize("reply", ["", "Hello.", "[]", '{"turns": 3}', "(((", ":", "()", "Background:", "\n\n"])
def test_what_is_no_script_has_no_turn(reply: str) -> None:
    assert read_script(reply).turns == ()


def test_actions() -> None:
    assert [action_in(text) for text in ("(speaking)", "Thinking hard", "outspoken", "", None)] == [
        "speaking",
        "thinking",
        None,
        None,
        None,
    ]
