"""SELF (arXiv 2310.00533): what the two verdicts of a model decide about its answer, and what the last line says."""

from typing import Any

import pytest

from synth.pipelines.self_evolution.evolve import RefineSelf
from tests.pipelines.scripted import process
from tests.pipelines.self_evolution.author import Author

ROW = {"id": "q", "prompt": "What is 3+4?", "gold": None}
GOOD, BAD = "Every step holds.\nVerdict: correct", "The sum is off by one.\nVerdict: incorrect"
BEFORE, AFTER = "It is 8.", "It is 7."


def outcome(author: Author, **options: Any) -> tuple[list[Any], list[Any]]:
    rows, filtered, _ = process(RefineSelf(**options), ROW, author)
    return list(rows), [(one.reason, one.row) for one in filtered]


@pytest.mark.parametrize(
    ("first", "final", "reason"),
    [(GOOD, GOOD, None), (BAD, GOOD, None), (GOOD, BAD, "made_worse"), (BAD, BAD, "still_bad")],
    ids=["good, good", "bad, good", "good, bad", "bad, bad"],
)
def test_an_answer_is_kept_by_the_verdict_on_its_refinement(first: str, final: str, reason: str | None) -> None:
    rows, filtered = outcome(Author([BEFORE], [first, final], [AFTER]))
    found = rows[0] if rows else filtered[0][1]
    assert [one for one, _ in filtered] == ([reason] if reason else [])
    assert (found["answer"], found["refined"], found["kept"]) == (BEFORE, AFTER, reason is None)
    verdicts = ["correct" if judged is GOOD else "incorrect" for judged in (first, final)]
    assert [found["verdict"], found["final_verdict"]] == verdicts
    if rows:
        # Only the last text is a target.
        assert found["messages"] == [
            {"role": "user", "content": "What is 3+4?"},
            {"role": "assistant", "content": AFTER},
        ]


def test_a_verdict_in_the_middle_of_the_feedback_is_not_read() -> None:
    wavering = "Verdict: correct\nNo, wait. The sum is off.\nVerdict: incorrect"
    rows, _ = outcome(Author([BEFORE], [wavering, GOOD], [AFTER]))
    assert rows[0]["verdict"] == "incorrect"
    assert rows[0]["feedback"] == "Verdict: correct\nNo, wait. The sum is off."


@pytest.mark.parametrize("neither_or_both", ["It is fine.", "It is fine.\nVerdict: correct, incorrect"])
def test_a_judgement_without_one_verdict_is_asked_for_again(neither_or_both: str) -> None:
    rows, filtered = outcome(Author([BEFORE], [neither_or_both, GOOD, GOOD], [AFTER]))
    assert (len(rows), filtered) == (1, [])
    rows, filtered = outcome(Author([BEFORE], [neither_or_both, neither_or_both], []))
    assert (rows, [reason for reason, _ in filtered]) == ([], ["no_verdict"])


def test_a_round_of_one_answer_asks_four_times() -> None:
    author = Author([BEFORE], [BAD, GOOD], [AFTER])
    outcome(author)
    assert author.asked == ["answer", "judge", "refine", "judge"]
