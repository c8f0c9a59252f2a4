import re
from typing import Any

import pytest

from synth.pipelines.augment.respond import Respond
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import ScriptedTools, process

QUERY = {"id": "q", "query": "What is 3 and 4?"}
CHECKED, BARE, WRONG, OTHER, NONE = (
    "3+4=<<3+4=7>>7\n#### 7",
    "Seven.\n#### 7.0",
    "3+4=<<3+4=8>>8\n#### 7",
    "4+4=<<4+4=8>>8\n#### 8",
    "I do not know.",
)
SCRIPT = [CHECKED, BARE, WRONG, OTHER, NONE]


def respond(script: list[str], **options: Any) -> tuple[list[str], dict[str, str]]:
    """Kept responses, and the reason of each that was filtered."""
    stage = Respond(n=len(script), temperatures=(1.0,), **options)
    rows, rejected, reject = process(stage, QUERY, ScriptedTools(script))
    assert reject is None
    return [row["response"] for row in rows], {item.row["response"]: item.reason for item in rejected}


def test_a_response_needs_agreement_or_correct_equations() -> None:
    kept, filtered = respond([*SCRIPT, "Nine.\n#### 9"])
    assert kept == [CHECKED, BARE, WRONG, OTHER]
    assert filtered == {NONE: "no_answer", "Nine.\n#### 9": "low_agreement"}


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("agreement", [CHECKED, BARE, WRONG]),
        ("equations", [CHECKED, OTHER]),
        ("both", [CHECKED]),
        ("either", [CHECKED, BARE, WRONG, OTHER]),
    ],
)
def test_keep_sets_the_condition_for_a_response(keep: str, kept: list[str]) -> None:
    assert respond(SCRIPT, keep=keep)[0] == kept


def test_the_majority_needs_its_share_of_all_samples() -> None:
    # Three of the five samples answer 7.
    assert respond(SCRIPT, keep="agreement", threshold=0.6)[0] == [CHECKED, BARE, WRONG]
    stage = Respond(n=5, temperatures=(1.0,), keep="agreement", threshold=0.61)
    rows, rejected, reject = process(stage, QUERY, ScriptedTools(SCRIPT))
    assert rows == []
    assert [item.reason for item in rejected] == ["low_agreement"] * 4 + ["no_answer"]
    assert [item.row["agreement"] for item in rejected[:4]] == [0.6, 0.6, 0.6, 0.2]
    assert reject is not None
    assert reject.reason == "nothing_kept"


def test_a_minority_does_not_agree_however_low_the_threshold() -> None:
    assert respond(SCRIPT, keep="agreement", threshold=0.1)[0] == [CHECKED, BARE, WRONG]


def test_the_first_seen_answer_wins_a_tie() -> None:
    assert respond(["#### 8", "#### 7", "#### 8.0", "#### 7"], keep="agreement")[0] == ["#### 8", "#### 8.0"]


def test_equations_in_prose_count_on_request() -> None:
    script = ["3 + 4 = 7\n#### 7", "3 + 4 = 8\n#### 7"]
    assert respond(script, keep="equations", plain_equations=True)[0] == script[:1]


@pytest.mark.parametrize("script", [["#### 7", "#### 8"], ["#### 7", NONE], [NONE, NONE], [NONE]])
def test_a_question_without_any_agreement_is_rejected(script: list[str]) -> None:
    _, _, reject = process(Respond(n=len(script), temperatures=(1.0,)), QUERY, ScriptedTools(script))
    assert reject is not None
    assert reject.reason == "no_agreement"


def test_answers_that_share_only_a_prefix_do_not_agree() -> None:
    for script in (["#### 5/6", "#### 5/8", "#### 5"], ["#### 9:10", "#### 9:40"], ["#### 2e3", "#### 2e4", "#### 2"]):
        _, rejected, reject = process(Respond(n=len(script), temperatures=(1.0,)), QUERY, ScriptedTools(script))
        assert reject is not None
        assert reject.reason == "no_agreement"
        assert {item.reason for item in rejected} == {"no_agreement"}


def test_answers_agree_by_value_and_keep_their_own_text() -> None:
    script = ["#### 5/8 cup", "#### 0.625", r"#### $\frac{10}{16}$", "#### 5"]
    rows, _, _ = process(Respond(n=4, temperatures=(1.0,), keep="agreement"), QUERY, ScriptedTools(script))
    assert [(row["answer"], row["agreement"]) for row in rows] == [("5/8", 0.75), ("0.625", 0.75), ("10/16", 0.75)]


def test_words_are_no_answer_to_agree_on() -> None:
    _, rejected, reject = process(Respond(n=2, temperatures=(1.0,)), QUERY, ScriptedTools(["#### unknown"] * 2))
    assert reject is not None
    assert {item.reason for item in rejected} == {"no_answer"}


def test_other_marks_can_be_read() -> None:
    script = ["\n3+4=<<3+4=7>>7\nSo the answer is 7. Easy!", "The answer is 7"]
    assert respond(script, answer_marks=("The answer is",))[0] == [text.strip() for text in script]


def test_a_single_sample_agrees_with_itself() -> None:
    assert respond([BARE])[0] == [BARE]


def test_a_response_ends_with_its_answer_line() -> None:
    stage = Respond(n=1, temperatures=(1.0,))
    rows, _, _ = process(stage, QUERY, ScriptedTools([(f"{CHECKED}\nNext: <<1+1=3>>", "length")]))
    assert rows == [
        {
            "id": "q/path-0",
            "query_id": "q",
            "query": "What is 3 and 4?",
            "response": CHECKED,
            "answer": "7",
            "agreement": 1.0,
            "temperature": 1.0,
            "shots": 0,
            "reasoning": None,
            "model": "scripted",
            "finish_reason": "length",
            "prompt_tokens": 11,
            "completion_tokens": 5,
        }
    ]


def test_each_temperature_draws_different_samples_and_all_vote_together() -> None:
    tools = ScriptedTools(["#### 7", "#### 8", "#### 8", "#### 8"])
    rows, _, _ = process(Respond(n=2, temperatures=(0.7, 0.7), keep="agreement"), QUERY, tools)
    assert [(sampling.temperature, samples) for _, sampling, samples in tools.requests] == [
        (0.7, range(2)),
        (0.7, range(2, 4)),
    ]
    assert [(row["id"], row["agreement"]) for row in rows] == [
        ("q/path-1", 0.75),
        ("q/path-2", 0.75),
        ("q/path-3", 0.75),
    ]


def test_worked_examples_are_drawn_for_each_temperature() -> None:
    shots = tuple((f"Question {number}?", f"#### {number}") for number in range(50))
    tools = ScriptedTools(["#### 7"] * 2)
    rows, _, _ = process(Respond(n=1, temperatures=(0.7, 1.0), shots=shots, num_shots=3), QUERY, tools)
    drawn = []
    for prompt, _, _ in tools.requests:
        assert isinstance(prompt, tuple)
        assert [message["role"] for message in prompt] == ["system", *["user", "assistant"] * 3, "user"]
        assert prompt[-1]["content"] == QUERY["query"]
        drawn.append([re.findall("[0-9]+", message["content"])[0] for message in prompt[1:-1]])
        assert drawn[-1][::2] == drawn[-1][1::2]
    assert drawn[0] != drawn[1]
    assert [row["shots"] for row in rows] == [3, 3]


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"n": 0}, "-n 0"),
        ({"temperatures": ()}, "--temperature needs"),
        ({"num_shots": 1}, "--num-shots 1"),
        ({"answer_marks": ("",)}, "--answer-mark"),
        ({"keep": "some"}, "--keep some"),
        ({"threshold": 1.5}, "--threshold 1.5"),
    ],
)
def test_invalid_options_are_usage_errors(options: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        Respond(**options)


def test_samples_without_a_response_are_filtered_and_agree_with_no_other() -> None:
    stage = Respond(n=5, temperatures=(1.0,), keep="agreement")
    script = [CHECKED, ("", "length"), ("#### 7", "refused"), " ", BARE]
    rows, rejected, reject = process(stage, QUERY, ScriptedTools(script))
    assert [(one.row["id"], one.reason) for one in rejected] == [
        ("q/path-1", "truncated"),
        ("q/path-2", "refused"),
        ("q/path-3", "empty_answer"),
        ("q/path-0", "low_agreement"),
        ("q/path-4", "low_agreement"),
    ]
    # Two of five samples, not two of two.
    assert (rows, rejected[3].row["agreement"]) == ([], 0.4)
    assert reject is not None
    assert reject.reason == "nothing_kept"
