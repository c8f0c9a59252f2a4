"""A stronger model judges and refines what a student answered, in one reply."""

from typing import Any

import pytest

from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.self_evolution.evolve import RefineSelf
from synth.pipelines.self_evolution.skills import Skills
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import process
from tests.pipelines.self_evolution.author import Author

ROW = {"id": "q", "prompt": "What is 3+4?", "response": "It is 8."}
REVIEW = "The sum is off by one."
LABEL = f"{REVIEW}\n\nVerdict: incorrect\n\nAnswer:\n3 and 4 are 7."


def labelled(*labels: str, row: Any = ROW, **options: Any) -> tuple[dict[str, Any], str | None]:
    """The chats by skill, and the reason why there are none."""
    rows, filtered, reject = process(Skills(**options), row, Author([], [], [], labels))
    assert not filtered
    return {row["skill"]: row for row in rows}, reject.reason if reject else None


def test_one_reply_becomes_a_chat_for_each_skill() -> None:
    chats, _ = labelled(LABEL)
    assert [row["id"] for row in chats.values()] == ["q/feedback", "q/refine"]
    for row in chats.values():
        assert (row["prompt"], row["answer"], row["feedback"]) == ("What is 3+4?", "It is 8.", REVIEW)
        assert (row["verdict"], row["refined"], row["model"]) == ("incorrect", "3 and 4 are 7.", "scripted")
    assert chats["feedback"]["messages"][-1] == {
        "role": "assistant",
        "content": f"{REVIEW}\n\nVerdict: incorrect",
    }
    assert chats["refine"]["messages"][-1] == {"role": "assistant", "content": "3 and 4 are 7."}


def test_the_student_learns_to_answer_what_it_will_be_asked_in_a_round() -> None:
    chats, _ = labelled(LABEL)
    author = Author(["It is 8."], [chats["feedback"]["messages"][-1]["content"], LABEL], ["3 and 4 are 7."])
    rows, filtered, _ = process(RefineSelf(), {"id": "q", "prompt": "What is 3+4?", "gold": None}, author)
    judging, refining = (author.requests[place][0] for place in (1, 2))
    assert tuple(chats["feedback"]["messages"][:-1]) == judging
    assert tuple(chats["refine"]["messages"][:-1]) == refining
    assert not rows
    assert filtered[0].row["feedback"] == REVIEW


def test_plain_pairs_of_prompt_and_answer_are_added_on_request() -> None:
    chats, _ = labelled(LABEL, with_answers=True)
    assert chats["answer"]["messages"] == [
        {"role": "user", "content": "What is 3+4?"},
        {"role": "assistant", "content": "3 and 4 are 7."},
    ]


@pytest.mark.parametrize("heading", ["Answer:\n", "**Answer:** ", "Better answer: ", "3. Answer:\n", ""])
def test_the_better_answer_follows_the_verdict(heading: str) -> None:
    chats, _ = labelled(f"{REVIEW}\nVerdict: incorrect\n{heading}3 and 4 are 7.")
    assert chats["refine"]["refined"] == "3 and 4 are 7."


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (REVIEW, "no_verdict"),
        ("Verdict: incorrect\nAnswer: 7", "no_reason"),
        (f"{REVIEW}\nVerdict: incorrect", "no_refined"),
        (f"{REVIEW}\nVerdict: incorrect\nAnswer:\n", "no_refined"),
        (f"{REVIEW}\nVerdict: incorrect\nAnswer: As the review says, 7.", "leaks_feedback"),
        (f"{LABEL}…", "truncated"),
        (" ", "empty_answer"),
    ],
)
def test_a_reply_that_cannot_be_used_is_asked_for_again(label: str, reason: str) -> None:
    assert set(labelled(label, LABEL)[0]) == {"feedback", "refine"}
    assert labelled(label, label) == ({}, reason)


@pytest.mark.parametrize("name", ["prompt", "response"])
def test_a_row_without_prompt_or_response_is_rejected(name: str) -> None:
    assert labelled(row={**ROW, name: " "}) == ({}, f"no_{name}")


@pytest.mark.parametrize("flag", ["judge_prompt", "refine_prompt"])
def test_prompts_that_the_student_learns_are_chats(flag: str) -> None:
    own: dict[str, Any] = {flag: Prompt("Check this: {{ answer }}", "own.md")}
    with pytest.raises(UsageError, match=f"--{flag.replace('_', '-')} own.md is plain text, but must be a chat"):
        Skills(**own)
