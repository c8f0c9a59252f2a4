from pathlib import Path
from random import Random
from typing import Any

import pytest

from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.self_lengthen.curate import CurateExtender, CurateGenerator, thinned
from synth.schemas.errors import InputError, UsageError
from tests.pipelines.passing import passed
from tests.pipelines.scripted import ScriptedTools, process
from tests.rows import write_rows

SHORT = "The sea is wide.\n\nThe sea is deep.\n\nThe sea is cold."
ROW: dict[str, Any] = {
    "id": "a/r0/x0",
    "instruction": "Write of the sea.",
    "initial": SHORT,
    "response": f"{SHORT} " * 3,
}


class Draws(Random):
    """Draws what it is told to."""

    def __init__(self, *draws: float) -> None:
        super().__init__()
        self._draws = list(draws)

    def random(self) -> float:
        return self._draws.pop(0)


def test_the_generator_learns_to_answer_the_instruction_at_length() -> None:
    rows, _, _ = process(CurateGenerator(), ROW, ScriptedTools([]))
    assert rows == [
        {
            "id": "a/r0/x0",
            "messages": [
                {"role": "user", "content": "Write of the sea."},
                {"role": "assistant", "content": ROW["response"]},
            ],
        }
    ]


def test_the_extender_learns_to_answer_its_own_prompt_with_the_shorter_text_in_it() -> None:
    rows, _, _ = process(CurateExtender(drop=0), ROW, ScriptedTools([]))
    asked, answered = rows[0]["messages"]
    assert asked["role"] == "user"
    assert ROW["instruction"] in asked["content"]
    assert SHORT in asked["content"]
    assert answered == {"role": "assistant", "content": ROW["response"]}


def test_the_prompt_is_in_the_language_of_the_text() -> None:
    chinese = {**ROW, "initial": "海很宽。\n\n海很深。"}
    (english,), (in_chinese,) = (process(CurateExtender(drop=0), row, ScriptedTools([]))[0] for row in (ROW, chinese))
    assert "outline" in english["messages"][0]["content"]
    assert "提纲" in in_chinese["messages"][0]["content"]


def test_a_prompt_of_ones_own_may_have_a_system_message_but_no_beginning_of_the_answer() -> None:
    prompt = Prompt("# system\nLengthen.\n# user\n{{ outline }}", "mine.md")
    rows, _, _ = process(CurateExtender(prompt, 0), ROW, ScriptedTools([]))
    assert [message["role"] for message in rows[0]["messages"]] == ["system", "user", "assistant"]
    rows, _, _ = process(CurateExtender(Prompt("Lengthen: {{ outline }}", "raw.md"), 0), ROW, ScriptedTools([]))
    assert rows[0]["messages"][0] == {"role": "user", "content": f"Lengthen: {SHORT}"}
    begun = CurateExtender(Prompt("# user\n{{ outline }}\n# assistant\nSure:", "begun.md"))
    with pytest.raises(UsageError, match=r"--prompt begun.md begins the assistant's answer"):
        process(begun, ROW, ScriptedTools([]))


def test_lines_are_left_out_by_chance() -> None:
    assert thinned(SHORT, 0.2, Draws(0.5, 0.1, 0.5)) == "The sea is wide.\n\nThe sea is cold."
    assert thinned(SHORT, 0.2, Draws(0.1, 0.5, 0.1)) == "The sea is deep."
    assert thinned("The sea is\nwide and\ndeep.", 0.2, Draws(0.5, 0.1, 0.5)) == "The sea is\ndeep."


def test_in_chinese_lines_become_paragraphs() -> None:
    assert thinned("海很宽。\n海很深。\n\n海很冷。", 0.2, Draws(0.5, 0.5, 0.5)) == "海很宽。\n\n海很深。\n\n海很冷。"


def test_a_text_of_one_line_stays() -> None:
    assert thinned("The sea is wide.", 0.2, Draws(0.1)) == "The sea is wide."
    assert thinned(SHORT, 0.2, Draws(0, 0, 0)) == SHORT


def test_about_a_fifth_of_the_lines_is_left_out() -> None:
    lines = [f"Line {number} of the text." for number in range(10_000)]
    kept = thinned("\n".join(lines), 0.2, Random(0)).split("\n")
    assert len(kept) == pytest.approx(8000, abs=150)
    assert kept == list(filter(set(kept).__contains__, lines))


def test_every_row_is_thinned_in_its_own_way_and_the_same_again(tmp_path: Path) -> None:
    text = "\n".join(f"Line {number} of the text." for number in range(30))
    source = write_rows(tmp_path / "in.jsonl", [{**ROW, "id": name, "initial": text} for name in "abcd"])
    first, _ = passed(CurateExtender(), [source], tmp_path / "one")
    second, _ = passed(CurateExtender(), [source], tmp_path / "two")
    other, _ = passed(CurateExtender(), [source], tmp_path / "three", seed=1)
    assert first == second != other
    assert len({row["messages"][0]["content"] for row in first}) == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**ROW, "instruction": " "}, "no_instruction"),
        ({**ROW, "response": ""}, "no_response"),
        ({**ROW, "initial": "\n"}, "no_initial"),
    ],
)
def test_a_row_with_an_empty_part_is_rejected(row: dict[str, Any], reason: str) -> None:
    _, _, rejected = process(CurateExtender(), row, ScriptedTools([]))
    assert rejected is not None
    assert rejected.reason == reason


def test_drafts_and_extended_texts_of_several_rounds_are_collected(tmp_path: Path) -> None:
    drafts = write_rows(tmp_path / "drafts.jsonl", [{"id": "a/r0", "prompt": "Write.", "response": "Short."}])
    extended = write_rows(tmp_path / "extended.jsonl", [ROW])
    rows, _ = passed(CurateGenerator(), [drafts, extended], tmp_path / "out")
    assert [row["id"] for row in rows] == ["a/r0", "a/r0/x0"]
    with pytest.raises(InputError, match="has no column initial"):
        passed(CurateExtender(), [drafts], tmp_path / "out-2")


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_the_share_must_be_one(share: float) -> None:
    with pytest.raises(UsageError, match="--drop"):
        CurateExtender(drop=share)
