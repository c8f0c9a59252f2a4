"""Failures are summarized batch by batch, and patterns of equal names are one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from synth.pipelines.challenge.patterns import SummarizeFailures
from synth.pipelines.runtime.declared import build
from synth.pipelines.runtime.stage import Reject, Rejected, Row
from synth.schemas.errors import UsageError
from tests.pipelines.challenge.made import SUMMARIZE, failures, found
from tests.pipelines.query_of_cc.talking import Talking
from tests.pipelines.scripted import process

Found = tuple[list[Row], list[Rejected], Reject | None]
Says = Callable[[list[str]], str]


def summarized(says: Says, count: int = 6, tools: Talking | None = None, **options: Any) -> Found:
    """What comes of so many failures if the model says this of those of a batch, by their ids."""
    stage = SummarizeFailures(**{"prompt": SUMMARIZE, "batch": 3, "tries": 1, **options})
    talking = tools or Talking(lambda asked, _: says(asked.split()[1:]))
    return process(stage, {"id": "patterns", "rows": failures(count)}, talking)


def test_each_failure_is_shown_once_in_batches_drawn_at_random() -> None:
    shown: list[list[str]] = []

    def says(batch: list[str]) -> str:
        shown.append(batch)
        return found(("counting", range(1, len(batch) + 1)))

    rows, filtered, reject = summarized(says, 7)
    assert sorted(len(batch) for batch in shown) == [1, 3, 3]
    ids = [failure for batch in shown for failure in batch]
    assert ids != sorted(ids)
    assert sorted(ids) == [f"f{n}" for n in range(7)]
    assert (sorted(rows[0]["examples"]), rows[0]["support"], reject) == (sorted(ids), 7, None)
    assert [(one.row["id"], one.reason) for one in filtered] == [
        ("patterns/b1/p0", "merged"),
        ("patterns/b2/p0", "merged"),
    ]


def test_a_pattern_cites_the_failures_of_its_batch_by_their_numbers() -> None:
    batches: list[list[str]] = []

    def says(batch: list[str]) -> str:
        batches.append(batch)
        return found(("counting", [3, 1]), ("spelling", [2]))

    rows, filtered, _ = summarized(says, 3)
    ((first, second, third),) = batches
    assert rows == [
        {
            "id": f"patterns/b0/p{place}",
            "name": name,
            "description": f"About {name}.",
            "suggestion": "More.",
            "examples": examples,
            "support": len(examples),
            "round": 0,
            "reasoning": None,
            "model": "scripted",
        }
        for place, (name, examples) in enumerate([("counting", [third, first]), ("spelling", [second])])
    ]
    assert filtered == []


def test_examples_that_do_not_exist_or_are_named_twice_do_not_count() -> None:
    tools = Talking(lambda *_: found(("counting", [1, 1, 4, 0, -1]), ("ghosts", [17])))
    rows, filtered, _ = summarized(lambda _: "", 3, tools)
    assert [(row["name"], row["support"]) for row in rows] == [("counting", 1)]
    assert tools.tallies["unknown_examples"] == 4
    assert [(one.row.get("name"), one.reason) for one in filtered] == [
        (None, "in_no_pattern"),
        (None, "in_no_pattern"),
        ("ghosts", "no_support"),
    ]


def test_the_failures_of_a_batch_without_patterns_are_rejected_for_what_its_reply_lacks() -> None:
    def says(batch: list[str]) -> str:
        return found(("counting", [1, 2, 3])) if "f0" in batch else "I see none."

    rows, filtered, reject = summarized(says)
    assert [row["name"] for row in rows] == ["counting"]
    assert reject is None
    assert len(filtered) == 3
    assert {one.reason for one in filtered} == {"unreadable"}
    assert {tuple(one.replies) for one in filtered} == {("I see none.",)}
    assert {one.row["id"] for one in filtered}.isdisjoint(rows[0]["examples"])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Counting is hard.", "unreadable"),
        ("[1, 2]", "unreadable"),
        ('{"patterns": []}', "wrong_fields"),
        ('{"patterns": ["counting"]}', "wrong_fields"),
        (
            json.dumps({"patterns": [{"name": "", "description": "d", "suggestion": "s", "examples": [1]}]}),
            "wrong_fields",
        ),
        (
            json.dumps({"patterns": [{"name": "n", "description": "d", "suggestion": "s", "examples": "1"}]}),
            "wrong_fields",
        ),
        (
            json.dumps({"patterns": [{"name": "n", "description": "d", "suggestion": "s", "examples": [True]}]}),
            "wrong_fields",
        ),
        (
            json.dumps({"patterns": [{"name": "?", "description": "d", "suggestion": "s", "examples": [1]}]}),
            "wrong_fields",
        ),
        (" ", "empty_answer"),
    ],
)
def test_a_reply_that_is_no_list_of_patterns_rejects_all(reply: str, reason: str) -> None:
    rows, filtered, reject = summarized(lambda _: reply, 2)
    assert rows == []
    assert {one.reason for one in filtered} == {reason}
    assert reject is not None
    assert reject.reason == reason


def test_failures_without_a_question_or_a_right_answer_are_not_shown() -> None:
    rows = failures(4)
    rows[0]["question"], rows[1]["gold"], rows[2]["answer"] = " ", "", ""
    tools = Talking(lambda asked, _: found(("counting", range(1, len(asked.split())))))
    (pattern,), filtered, _ = process(SummarizeFailures(SUMMARIZE), {"id": "patterns", "rows": rows}, tools)
    assert sorted(pattern["examples"]) == ["f2", "f3"]
    assert [(one.row["id"], one.reason) for one in filtered] == [("f0", "no_question"), ("f1", "no_gold")]


def test_the_similarity_of_names_applies_only_where_they_are_compared() -> None:
    with pytest.raises(UsageError, match="--same applies only with --embedder"):
        build(SummarizeFailures, {"same": 0.9})
    assert "same" not in SummarizeFailures().identity()


def test_another_sample_is_drawn_for_a_reply_that_cannot_be_read() -> None:
    tools = Talking(lambda _, sample: found(("counting", [1])) if sample else "Well.")
    rows, _, _ = summarized(lambda _: "", 1, tools, tries=2)
    assert [row["name"] for row in rows] == ["counting"]


def test_names_are_equal_whatever_their_case_and_punctuation() -> None:
    def says(batch: list[str]) -> str:
        name = "Letter-counting" if "f0" in batch else "letter counting."
        return found((name, [1, 2] if "f0" in batch else [3]))

    rows, filtered, _ = summarized(says)
    assert [(row["name"], row["support"]) for row in rows] == [("Letter-counting", 3)]
    merged = [one for one in filtered if one.reason == "merged"]
    assert [(one.row["name"], one.detail) for one in merged] == [
        ("letter counting.", f"into {rows[0]['id']}, similarity 1.00")
    ]


def test_patterns_with_the_most_examples_come_first() -> None:
    rows, _, _ = summarized(lambda _: found(("rare", [2]), ("frequent", [1, 3])), 3)
    assert [row["name"] for row in rows] == ["frequent", "rare"]
