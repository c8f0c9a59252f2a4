"""The worked vectors of intrinsic self-correction (arXiv 2401.07301): what is learnt of right and wrong answers."""

from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.self_correction.correct import Correct
from tests.pipelines.scripted import ScriptedTools, process

ROW = {"id": "q", "question": "What does a magnet attract?", "answer": "C", "choices": None}
WRONG, RIGHT = "The answer is B.", "The answer is C."
CHECK = "Let me check: a magnet attracts iron, so that is wrong."
CONFIRM = "Let me check: a magnet attracts iron, so that is right."


@pytest.fixture
def stage() -> Correct:
    return Correct(n=2, wordings=Prompt(f"# right\n{CONFIRM}\n# wrong\n{CHECK}\n", "own.md"))


def written(stage: Correct, *script: str) -> dict[str, Any]:
    """The rows by their case."""
    rows, _, reject = process(stage, ROW, ScriptedTools(script))
    assert reject is None
    return {row["case"]: row for row in rows}


def test_of_a_wrong_answer_only_the_verification_and_the_correction_are_learnt(stage: Correct) -> None:
    bad = written(stage, WRONG, RIGHT)["bad"]
    assert (bad["first"], bad["verdict"], bad["final"]) == (WRONG, CHECK, RIGHT)
    assert bad["segments"] == [
        {"text": WRONG, "loss": 0},
        {"text": f"\n{CHECK}", "loss": 1},
        {"text": f"\n{RIGHT}", "loss": 1},
    ]
    assert bad["messages"] == [
        {"role": "user", "content": "What does a magnet attract?"},
        {"role": "assistant", "content": f"{WRONG}\n{CHECK}\n{RIGHT}"},
    ]


def test_of_a_right_answer_all_is_learnt(stage: Correct) -> None:
    good = written(stage, WRONG, RIGHT)["good"]
    assert good["segments"] == [{"text": RIGHT, "loss": 1}, {"text": f"\n{CONFIRM}", "loss": 1}]
    assert good["final"] is None


def test_a_wrong_answer_that_is_the_gold_answer_after_all_is_rejected() -> None:
    row = {**ROW, "answer": "the horse-shoe magnet"}
    rows, filtered, reject = process(Correct(n=1), row, ScriptedTools(["The answer is horse shoe magnet"]))
    assert (rows, [one.reason for one in filtered]) == ([], ["not_wrong"])
    assert reject is not None
    assert reject.reason == "not_wrong"


@pytest.mark.parametrize("kind", ["byte pairs", "pieces", "words"])
def test_what_is_masked_is_the_wrong_answer_to_the_character_and_to_the_token(
    stage: Correct, kind: str, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    from tests.pipelines.runtime.test_partial_answers import trained

    bad = written(stage, WRONG, RIGHT)["bad"]
    chat = trained(kind, tmp_path).read(bad["messages"], bad["segments"])
    text = f"[user]{ROW['question']}[end][assistant]{bad['messages'][1]['content']}[end]"
    border = text.index(WRONG) + len(WRONG)
    encoded = AutoTokenizer.from_pretrained(tmp_path)(text, add_special_tokens=False, return_offsets_mapping=True)
    assert [bool(mark) for mark in chat.mask] == [start >= border for start, _ in encoded["offset_mapping"]]
