"""Questions are written for each pattern and domain, answered if they are new, and left unmarked."""

import json
from typing import Any

import pytest

from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import UsageError
from tests.pipelines.challenge.made import failures, given, pattern, question, questions, refine
from tests.pipelines.query_of_cc.talking import Model, Talking
from tests.pipelines.scripted import process


def writes(*texts: str) -> str:
    return json.dumps({"questions": texts})


def inventive(asked: str, _: int) -> str:
    """Two questions of every domain, and an answer."""
    if asked.startswith("answer: "):
        return f"Of course {asked.split()[-1]}"
    domain = asked.split(", ")[1]
    return writes(f"How many pieces are there in all of {domain} together?", f"Who was the first to win at {domain}?")


def asked_of(model: Model, **options: Any) -> tuple[dict[str, str], dict[str, tuple[str, str]], Reject | None]:
    """The questions and the filtered ones with reason and detail, by id, and why there are none."""
    rows, filtered, reject = process(questions(tries=1, **options), pattern(), Talking(model))
    return (
        {row["id"]: row["question"] for row in rows},
        {one.row["id"]: (one.reason, one.detail) for one in filtered},
        reject,
    )


def test_questions_of_all_domains_are_answered_and_not_marked() -> None:
    tools = Talking(inventive)
    rows, filtered, _ = process(questions(), pattern(), tools)
    assert filtered == []
    assert [row["id"] for row in rows] == ["counting/d0/q0", "counting/d0/q1", "counting/d1/q0", "counting/d1/q1"]
    assert rows[3] == {
        "id": "counting/d1/q1",
        "question": "Who was the first to win at tea?",
        "pattern": "counting",
        "domain": "tea",
        "model": "scripted",
        "answer": "Of course tea?",
        "reasoning": None,
    }
    shown = " + ".join(one["question"] for one in failures(2))
    assert [(messages[0]["content"], sampling.temperature) for messages, sampling, _ in tools.requests] == [  # type: ignore[index]
        (f"write: counting, chess, {shown}", 1.0),
        (f"write: counting, tea, {shown}", 1.0),
        *((f"answer: {row['question']}", 0) for row in rows),
    ]


def test_a_question_that_repeats_a_failure_or_an_earlier_question_is_filtered_unanswered() -> None:
    first = "Which piece moves in the shape of the letter L on the board of this game?"
    nearly = "Which piece moves in the shape of the letter L on the board of this game, then?"

    def model(asked: str, sample: int) -> str:
        if asked.startswith("answer: "):
            return inventive(asked, sample)
        repeated = failures(1)[0]["question"]
        return writes(first, repeated.upper()) if "chess" in asked else writes(nearly, "How long is tea steeped?")

    tools = Talking(model)
    rows, filtered, _ = process(questions(), pattern(), tools)
    assert [row["id"] for row in rows] == ["counting/d0/q0", "counting/d1/q1"]
    assert [(one.row["id"], one.reason, one.detail) for one in filtered] == [
        ("counting/d0/q1", "near_seed", "of f0"),
        ("counting/d1/q0", "near_duplicate", "of counting/d0/q0"),
    ]
    assert sum("answer" in messages[0]["content"] for messages, _, _ in tools.requests) == 2  # type: ignore[index]


def test_what_counts_as_a_repetition_is_an_option() -> None:
    def model(asked: str, sample: int) -> str:
        return (
            inventive(asked, sample)
            if asked.startswith("answer: ")
            else writes("How many letters has the word number one of this thick old book?")
        )

    seeds = given([{**failures(1)[0], "question": "How many letters has the word number one of this book?"}])
    assert asked_of(model, failures=seeds, domains=("chess",))[1] == {}
    (fault,) = asked_of(model, failures=seeds, domains=("chess",), threshold=0.4)[1].values()
    assert fault == ("near_seed", "of f0")


def test_questions_beyond_those_asked_for_are_left_out() -> None:
    tools = Talking(inventive)
    rows, _, _ = process(questions(per=1), pattern(), tools)
    assert [row["id"] for row in rows] == ["counting/d0/q0", "counting/d1/q0"]
    assert tools.tallies["surplus_questions"] == 2


def test_a_pattern_without_examples_is_asked_for_questions_all_the_same() -> None:
    rows, _, _ = process(questions(), pattern(examples=None), Talking(inventive))
    assert len(rows) == 4


def test_a_domain_whose_reply_cannot_be_read_costs_its_own_questions() -> None:
    kept, filtered, _ = asked_of(
        lambda asked, n: "Tea?" if "write" in asked and "tea" in asked else inventive(asked, n)
    )
    assert list(kept) == ["counting/d0/q0", "counting/d0/q1"]
    assert filtered == {"counting/d1/q0": ("unreadable", "it is not JSON: no object in it")}


def test_a_question_that_the_model_does_not_answer_is_filtered() -> None:
    kept, filtered, _ = asked_of(lambda asked, n: " " if asked.endswith("win at tea?") else inventive(asked, n))
    assert len(kept) == 3
    assert {name: reason for name, (reason, _) in filtered.items()} == {"counting/d1/q1": "empty_answer"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("What?", "unreadable"),
        (writes(), "wrong_fields"),
        ('{"questions": "What?"}', "wrong_fields"),
        ('{"questions": [7]}', "wrong_fields"),
        ('{"questions": [" "]}', "wrong_fields"),
    ],
)
def test_a_pattern_without_questions_is_rejected(reply: str, reason: str) -> None:
    kept, filtered, reject = asked_of(lambda *_: reply)
    assert kept == {}
    assert len(filtered) == 2
    assert reject is not None
    assert reject.reason == reason


def test_at_least_one_domain_is_needed() -> None:
    with pytest.raises(UsageError, match="--domains names no domain: give one or more words, separated by commas"):
        questions(domains=())


def test_a_domain_is_named_once() -> None:
    with pytest.raises(UsageError, match="--domains names tea twice: --per N asks for more questions"):
        questions(domains=("tea", "chess", "tea"))


@pytest.mark.parametrize("text", ["name", "description", "suggestion"])
def test_a_pattern_that_lacks_a_text_is_not_asked_about(text: str) -> None:
    for stage in (questions(), refine(question(1, False))):
        tools = Talking(inventive)
        rows, _, reject = process(stage, {**pattern(), text: " "}, tools)
        assert (rows, tools.requests) == ([], [])
        assert reject is not None
        assert reject.reason == f"no_{text}"
