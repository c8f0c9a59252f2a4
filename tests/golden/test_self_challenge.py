"""Worked vectors of Self-Challenge (arXiv 2408.08978): the marks of the published benchmark, and the loop."""

import json
from itertools import count
from typing import Any

import pytest

from synth.pipelines.challenge.naming import merge
from synth.pipelines.challenge.patterns import SummarizeFailures
from synth.pipelines.challenge.rates import FailureRate
from synth.pipelines.retrieval.embedding import Embedder
from tests.pipelines.challenge.made import SUMMARIZE, failures, found, given, pattern, question, questions, refine
from tests.pipelines.query_of_cc.talking import Talking
from tests.pipelines.retrieval.meanings import MODEL, needs_model
from tests.pipelines.scripted import process

# Right answers and all answers of each pattern, in the published benchmark.
PUBLISHED = {
    "Text manipulation": (25, 271),
    "Counting and identification": (52, 232),
    "Temporal ambiguity": (83, 217),
    "Recursive and unusual patterns": (96, 230),
    "Complex syntax": (147, 256),
    "Popularity bias": (145, 221),
    "Assumption of existence": (121, 179),
    "Logic and paradox": (156, 229),
}
# The share of right answers of each, in percent.
ACCURACY = (9.2, 22.4, 38.2, 41.7, 57.4, 65.6, 67.6, 68.1)
SHARPER = json.dumps({"description": "Sharper.", "suggestion": "More."})


def test_the_interval_of_the_hardest_pattern() -> None:
    right = FailureRate(25, 271)
    assert right.rate == pytest.approx(0.092, abs=5e-4)
    assert right.interval == pytest.approx((0.063, 0.133), abs=5e-4)
    wrong = FailureRate(246, 271)
    assert wrong.interval == pytest.approx((1 - 0.133, 1 - 0.063), abs=5e-4)


@pytest.mark.parametrize(
    ("failed", "marked", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1)]
)
def test_the_interval_says_something_even_where_all_answers_are_alike(
    failed: int, marked: int, low: float, high: float
) -> None:
    assert FailureRate(failed, marked).interval == pytest.approx((low, high), abs=5e-5)


def test_the_rates_of_the_published_benchmark() -> None:
    number = count()
    rows = [
        question(next(number), place < right, of=name)
        for name, (right, marked) in PUBLISHED.items()
        for place in range(marked)
    ]
    assert len(rows) == 1835
    stage = refine(*rows)
    tallies: dict[str, float] = {}
    accuracy = []
    for name in PUBLISHED:
        tools = Talking(lambda *_: SHARPER)
        (row,), _, _ = process(stage, pattern(name), tools)
        accuracy.append(round(100 * (1 - row["failure_rate"]), 1))
        tallies = {tally: tallies.get(tally, 0) + amount for tally, amount in tools.tallies.items()}
    assert tuple(accuracy) == ACCURACY
    assert tallies["marked"] - tallies["failure_rate"] == 825
    assert round(100 * (1 - tallies["failure_rate"] / tallies["marked"]), 2) == 44.96


def test_all_published_patterns_are_hard_enough_by_default() -> None:
    easiest = FailureRate(229 - 156, 229)
    assert refine().min_rate < easiest.rate < 0.32


def test_the_mark_is_the_label_and_not_whether_the_answer_equals_gold() -> None:
    # Both occur in the benchmark: 4 rows and 274 rows.
    rows = [question(1, False, gold="It is."), question(2, True, gold="Something else.")]
    (row,), _, _ = process(refine(*rows), pattern(), Talking(lambda *_: SHARPER))
    assert (row["marked"], row["failed"]) == (2, 1)


def test_the_loop_with_a_scripted_model() -> None:
    seeds = failures(5)
    batches: list[list[str]] = []

    def summarize(asked: str, _: int) -> str:
        ids = asked.split()[1:]
        batches.append(ids)
        # The second batch has no failure 3.
        return found(("counting", [1, 2, 3]), ("spelling", [1]))

    stage = SummarizeFailures(SUMMARIZE, batch=3, schema=False)
    tools = Talking(summarize)
    patterns, filtered, _ = process(stage, {"id": "patterns", "rows": seeds}, tools)
    assert [(one["name"], one["support"]) for one in patterns] == [("counting", 5), ("spelling", 2)]
    assert [one.reason for one in filtered] == ["merged", "merged"]
    assert tools.tallies["unknown_examples"] == 1

    def write(asked: str, _: int) -> str:
        if asked.startswith("answer: "):
            return "Nine."
        return json.dumps({"questions": [seeds[2]["question"], f"How many squares has a board of {asked.split()[2]}?"]})

    asked, repeated, _ = process(questions(failures=given(seeds)), patterns[0], Talking(write))
    assert [one["question"] for one in asked] == [
        f"How many squares has a board of {domain},?" for domain in ("chess", "tea")
    ]
    assert {one.reason for one in repeated} == {"near_seed"}
    assert all(one.get(name) is None for one in asked for name in ("correct", "feedback", "gold"))

    marked: list[dict[str, Any]] = [{**dict.fromkeys(("gold", "feedback")), **one, "correct": False} for one in asked]
    (sharper,), _, _ = process(refine(*marked), patterns[0], Talking(lambda *_: SHARPER))
    assert (sharper["description"], sharper["round"], sharper["failure_rate"]) == ("Sharper.", 1, 1.0)
    assert (sharper["name"], sharper["examples"]) == ("counting", patterns[0]["examples"])


@needs_model
def test_the_published_patterns_stay_apart_and_other_names_of_theirs_do_not() -> None:
    embedder = Embedder.named(str(MODEL), option="--embedder")
    others = ["Assuming existence", "Bias towards the popular", "Manipulating text", "Logical paradoxes"]
    rows = [{"id": name, "name": name, "examples": ["f"] * (name in PUBLISHED)} for name in [*PUBLISHED, *others]]
    kept, merged = merge(rows, embedder, SummarizeFailures().same)
    assert [one["name"] for one in kept] == [*PUBLISHED]
    assert {one.pattern["name"]: one.into["name"] for one in merged} == {
        "Assuming existence": "Assumption of existence",
        "Bias towards the popular": "Popularity bias",
        "Manipulating text": "Text manipulation",
        "Logical paradoxes": "Logic and paradox",
    }
