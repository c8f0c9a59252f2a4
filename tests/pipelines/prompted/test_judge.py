import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.prompted.judge import Judge
from synth.pipelines.runtime.prompts import Prompt
from synth.schemas.errors import UsageError
from tests.command import synth
from tests.pipelines.prompted.answering import answered
from tests.rows import rejected_of, rows_of

RUBRIC = Prompt("Is it true? {{ claim }}", "true.md")
ROWS = [{"id": f"r-{i}", "claim": claim} for i, claim in enumerate(["good", "poor", "good", "good"])]


def verdict(score: int, reason: str = "So it is.") -> str:
    return json.dumps({"reason": reason, "score": score})


def by_claim(asked: tuple[Any, ...], _: int) -> str:
    return verdict(5 if "good" in asked[1]["content"] else 2)


def test_each_row_gets_the_score_and_its_reason(tmp_path: Path) -> None:
    summary, model = answered(tmp_path, Judge(RUBRIC), ROWS[:2], by_claim)
    scored = {"score_reason": "So it is."}
    assert rows_of(tmp_path / "out") == [
        {**ROWS[0], "score": 5.0, "score_votes": [5], **scored},
        {**ROWS[1], "score": 2.0, "score_votes": [2], **scored},
    ]
    assert summary.record["means"] == {"score": 3.5}
    system, user = model.requests[0].prompt
    assert "from 1 (worst) to 5 (best)" in system["content"]
    assert "Is it true? good" in user["content"]
    assert model.requests[0].schema["properties"]["score"] == {"type": "integer", "minimum": 1, "maximum": 5}


def test_the_score_is_the_mean_of_the_votes(tmp_path: Path) -> None:
    replies = [verdict(1, "low"), "no vote", verdict(4, "middle"), verdict(5, "high"), "none", "none"]
    summary, _ = answered(tmp_path, Judge(RUBRIC, votes=4, tries=1), ROWS[:1], lambda _, number: replies[number])
    (row,) = rows_of(tmp_path / "out")
    assert (row["score_votes"], row["score_reason"]) == ([1, 4, 5], "middle")
    assert row["score"] == pytest.approx(10 / 3)
    assert summary.counts.tallies["votes_lost"] == 1


def test_rows_below_the_condition_are_rejected_and_a_quota_ends_the_run(tmp_path: Path) -> None:
    summary, _ = answered(tmp_path, Judge(RUBRIC, keep="score >= 4 AND len(score_votes) = 1"), ROWS, by_claim)
    assert summary.counts.reasons == {"not_kept": 1}
    assert [row["detail"] for row in rejected_of(tmp_path / "out")] == ["score 2: So it is."]
    answered(tmp_path, Judge(RUBRIC, keep="score >= 4"), ROWS, by_claim, until=2)
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["r-0", "r-2"]


@pytest.mark.parametrize(
    ("reply", "reason"), [(verdict(6), "wrong_fields"), ('{"score": 3}', "wrong_fields"), ("3", "unreadable")]
)
def test_a_row_without_a_readable_vote_is_rejected(tmp_path: Path, reply: str, reason: str) -> None:
    summary, model = answered(tmp_path, Judge(RUBRIC, tries=2), ROWS[:1], lambda *_: reply)
    assert summary.counts.reasons == {reason: 1}
    assert len(model.requests) == 2


def test_a_missing_rubric_is_named_with_its_flag(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--rubric nowhere\.md: no such file$"):
        synth("judge", tmp_path, tmp_path / "out", "--rubric", "nowhere.md", "--engine", "echo")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "5-1"}, "--scale 5-1: expected"),
        ({"scale": "five"}, "--scale five: expected"),
        ({"keep": "scor > 3"}, '--keep scor > 3: Referenced column "scor" not found'),
        ({"into": "claim"}, "the input has a column claim already"),
        ({"rubric": Prompt("{{ clain }}", "true.md")}, "true.md names clain"),
        ({"rubric": Prompt("# user\n{{ claim }}", "true.md")}, "a rubric has no messages"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        answered(tmp_path, Judge(**{"rubric": RUBRIC, **options}), ROWS, by_claim)
