"""`probe label`: the judge's classes, the decision, and replies that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.probe.label import LabelNeeds
from synth.schemas.errors import InputError, UsageError
from tests.pipelines.prompted.answering import answered
from tests.rows import rejected_of, rows_of

JUDGED = ("intent", "knowledge", "time")


def verdict(intent: Any = "no", knowledge: Any = "yes", time: Any = "no", reason: str = "So it is.") -> str:
    return json.dumps({"reason": reason, "intent": intent, "knowledge": knowledge, "time": time})


def test_rows_keep_their_columns_and_get_their_classes_and_the_decision(tmp_path: Path) -> None:
    replies = {"Look": verdict(intent="yes"), "poem": verdict(knowledge="no"), "mayor": verdict(time="yes")}
    rows = [
        {"id": "wish", "question": "Look up the tides.", "self": 1, "source": "mine"},
        {"id": "poem", "question": "Write a poem.", "self": 0, "source": "mine"},
        {"id": "mayor", "question": "Who is mayor?", "self": 1, "source": "mine"},
        {"id": "known", "question": "Who wrote Faust?", "self": 1, "source": "mine"},
        {"id": "unknown", "question": "Who wrote it?", "self": 0, "source": "mine"},
    ]

    def says(asked: tuple[Any, ...], _: int) -> str:
        return next((reply for word, reply in replies.items() if word in asked[1]["content"]), verdict())

    summary, _ = answered(tmp_path, LabelNeeds(), rows, says)
    labelled = rows_of(tmp_path / "out")
    assert labelled[0] == {
        **rows[0],
        "intent": 0,
        "knowledge": 1,
        "time": 1,
        "need_retrieve": True,
        "decided_by": "intent",
        "agreement": 1.0,
        "label_reason": "So it is.",
    }
    assert [(row["need_retrieve"], row["decided_by"]) for row in labelled] == [
        (True, "intent"), (False, "knowledge"), (True, "time"), (False, None), (True, "self"),
    ]  # fmt: skip
    assert [[row[criterion] for criterion in JUDGED] for row in labelled[1:]] == [
        [1, 0, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1],
    ]  # fmt: skip
    assert summary.record["means"] == {
        "intent_applies": 0.2,
        "knowledge_applies": 0.2,
        "time_applies": 0.2,
        "need_retrieve": 0.6,
    }


def test_a_row_of_which_nobody_knows_whether_the_model_knows_it_has_no_decision_if_it_comes_to_that(
    tmp_path: Path,
) -> None:
    rows = [{"question": "Who is mayor?", "self": None}, {"question": "Who was?", "self": None}]
    rows.append({"question": "And now?", "self": 1})
    summary, _ = answered(
        tmp_path, LabelNeeds(), rows, lambda asked, _: verdict(time="yes" if "is mayor" in str(asked) else "no")
    )
    assert [row["need_retrieve"] for row in rows_of(tmp_path / "out")] == [True, None, False]
    assert summary.counts.tallies["undecided"] == 1


def test_only_the_chosen_criteria_are_asked_for_and_decide(tmp_path: Path) -> None:
    _, model = answered(
        tmp_path,
        LabelNeeds(criteria=("time", "intent")),
        [{"question": "Who is mayor?"}],
        lambda *_: verdict("no", "no"),
    )
    (row,) = rows_of(tmp_path / "out")
    assert (row["need_retrieve"], row["decided_by"], row["knowledge"]) == (False, None, None)
    (request,) = model.requests
    assert list(request.schema["properties"]) == ["reason", "intent", "time"]
    assert '"knowledge"' not in request.prompt[0]["content"]
    assert request.prompt[0]["content"].endswith('then "intent" and "time".')


def test_a_criterion_applies_if_half_of_the_votes_say_so(tmp_path: Path) -> None:
    replies = [
        verdict(time="yes", reason="one"),
        verdict(reason="two"),
        "no vote",
        verdict(reason="four"),
        verdict(time="yes"),
    ]
    stage = LabelNeeds(criteria=JUDGED, votes=5, tries=1, temperature=0.7)
    summary, _ = answered(tmp_path, stage, [{"question": "Who is mayor?"}], lambda _, number: replies[number])
    (row,) = rows_of(tmp_path / "out")
    assert (row["time"], row["agreement"], row["decided_by"], row["label_reason"]) == (0, 0.5, "time", "one")
    assert summary.counts.tallies["votes_lost"] == 1


@pytest.mark.parametrize(
    "reply",
    [
        verdict(time=True),
        verdict(time=" YES "),
        f"```json\n{verdict(time='yes')}\n```",
        f"Here it is: {verdict(time='yes')}. The mayor changes.",
        json.dumps({"intent": False, "knowledge": "Yes", "time": "true"}),
    ],
)
def test_a_free_reply_may_be_spelled_otherwise(tmp_path: Path, reply: str) -> None:
    stage = LabelNeeds(criteria=JUDGED, schema=False)
    answered(tmp_path, stage, [{"question": "Who is mayor?"}], lambda *_: reply)
    assert rows_of(tmp_path / "out")[0]["decided_by"] == "time"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("It depends.", "unreadable"),
        ("[]", "unreadable"),
        (verdict(time="perhaps"), "wrong_fields"),
        ('{"intent": "no", "time": "no"}', "wrong_fields"),
        ("", "empty_answer"),
    ],
)
def test_a_row_without_a_readable_reply_is_rejected(tmp_path: Path, reply: str, reason: str) -> None:
    summary, model = answered(
        tmp_path, LabelNeeds(criteria=JUDGED, tries=2), [{"question": "Who is mayor?"}], lambda *_: reply
    )
    assert summary.counts.reasons == {reason: 1}
    assert [request.sampling.temperature for request in model.requests] == [0.0, 1.0]


def test_blank_questions_and_classes_that_are_none_are_rejected_and_not_asked(tmp_path: Path) -> None:
    rows = [{"question": " \n", "self": 1}, {"question": "Who?", "self": 2}]
    _, model = answered(tmp_path, LabelNeeds(), rows, lambda *_: verdict())
    assert [(row["reason"], row["detail"]) for row in rejected_of(tmp_path / "out")] == [
        ("no_question", "the question is blank"),
        ("bad_class", "self is 2, where 0 or 1 is needed"),
    ]
    assert model.requests == []
    summary, _ = answered(tmp_path, LabelNeeds(criteria=JUDGED), rows, lambda *_: verdict())
    assert summary.counts.reasons == {"no_question": 1}


def test_without_what_the_model_knows_the_criterion_has_to_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"`synth probe self` find it, or leave it out with --criteria intent,knowledge,time$"
    ):
        answered(tmp_path, LabelNeeds(), [{"question": "Who?"}], lambda *_: verdict())


def test_a_column_of_another_meaning_is_named(tmp_path: Path) -> None:
    rows = [{"question": "Who?", "intent": "book_flight"}]
    with pytest.raises(InputError, match=r"writes a column intent of its own .*--column NAME=intent"):
        answered(tmp_path, LabelNeeds(criteria=JUDGED), rows, lambda *_: verdict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criteria": ("self",)}, "--criteria names none for the judge"),
        ({"criteria": ("mood",)}, "--criteria mood: must be one of intent, knowledge, time, self"),
        ({"votes": 3}, "--votes 3 would be alike at temperature 0"),
    ],
)
def test_options_that_ask_for_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LabelNeeds(**options)
