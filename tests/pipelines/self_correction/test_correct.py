"""A scripted model answers, and what it says becomes turns that verify and correct themselves."""

import json
from typing import Any

import pytest

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject
from synth.pipelines.self_correction.correct import FOLDER, Correct
from synth.pipelines.self_correction.wordings import wordings_in
from synth.schemas.errors import UsageError
from synth.schemas.segments import joined, unlearnt
from tests.pipelines.scripted import Prompted, ScriptedTools, process

CHOICES = json.dumps({"label": ["A", "B", "C"], "text": ["wood", "paper", "iron"]})
MAGNET = {"id": "q", "question": "What does a magnet attract?", "answer": "C", "choices": CHOICES}
SUM = {"id": "q", "question": "What is 3+4?", "answer": "3+4 = <<3+4=7>>7\n#### 7", "choices": None}
WORDINGS = wordings_in(Prompt.load("wordings", FOLDER))
WRONG, RIGHT, NONE = "Paper is light.\nThe answer is B.", "It is of metal.\nThe answer is C.", "I cannot tell."


class Two(ScriptedTools):
    """Says the script when it is asked the question, and the verifications, in order, when it is asked for one."""

    def __init__(self, script: list[str], verifications: list[str]) -> None:
        super().__init__(script)
        self.verifications = verifications
        self.asked_to_verify: list[Any] = []

    async def completions(self, prompt: Prompted, samples: range) -> list[Completion]:
        assert not isinstance(prompt, str)
        if "looks the answer over" not in prompt[0]["content"]:
            return await super().completions(prompt, samples)
        self.asked_to_verify.append((prompt, samples))
        return [Completion(self.verifications[len(self.asked_to_verify) - 1], "stop", 9)]


def correct(row: Any, script: list[str], **options: Any) -> tuple[dict[str, Any], dict[str, str], Reject | None]:
    """The rows by the end of their id, and the reasons of the samples that were filtered."""
    rows, filtered, reject = process(Correct(n=len(script), **options), row, ScriptedTools(script))
    return (
        {row["id"].rpartition("/")[2]: row for row in rows},
        {one.row["id"].rpartition("/")[2]: one.reason for one in filtered},
        reject,
    )


def test_the_first_right_and_the_first_wrong_answer_are_cases() -> None:
    rows, filtered, reject = correct(MAGNET, [NONE, WRONG, RIGHT, "The answer is A.", "The answer is iron"])
    assert reject is None
    assert {name: row["case"] for name, row in rows.items()} == {"sample-1": "bad", "sample-2": "good"}
    assert filtered == {"sample-0": "no_answer", "sample-3": "surplus", "sample-4": "surplus"}
    bad, good = rows.values()
    assert (bad["first"], bad["final"], bad["corrected_by"], bad["sample"]) == (WRONG, RIGHT, 2, 1)
    assert (good["first"], good["final"], good["corrected_by"], good["sample"]) == (RIGHT, None, None, 2)


def test_the_options_are_part_of_the_question() -> None:
    rows, _, _ = correct(MAGNET, [RIGHT])
    asked = "What does a magnet attract?\n\n(A) wood\n(B) paper\n(C) iron"
    assert rows["sample-0"]["question"] == asked
    assert rows["sample-0"]["messages"][0] == {"role": "user", "content": asked}


def test_verifications_agree_with_the_case_and_differ_between_samples() -> None:
    script = [WRONG, RIGHT] * 20
    rows, _, _ = correct(MAGNET, script, per_question=20)
    good = {row["verdict"] for row in rows.values() if row["case"] == "good"}
    bad = {row["verdict"] for row in rows.values() if row["case"] == "bad"}
    assert good <= {*WORDINGS.right}
    assert bad <= {*WORDINGS.wrong}
    assert min(len(good), len(bad)) > 5


def test_there_are_ten_shipped_wordings_and_more_of_each_kind() -> None:
    assert min(len({*WORDINGS.right}), len({*WORDINGS.wrong})) >= 10


def test_what_is_masked_is_exactly_the_wrong_answer() -> None:
    rows, _, _ = correct(SUM, ["3+4 is 8.\nThe answer is 8.", "The answer is 7.", "The answer is 9"], per_question=2)
    for row in rows.values():
        answer = row["messages"][1]["content"]
        assert joined(row["segments"]) == answer
        masked = [answer[start:end] for start, end in unlearnt(row["segments"])]
        assert masked == ([row["first"]] if row["case"] == "bad" else [])


def test_several_wrong_answers_are_corrected_by_the_right_ones_in_turn() -> None:
    script = ["The answer is 8", "The answer is 7", "The answer is 9", "So the answer is 7.", "The answer is 1"]
    rows, _, _ = correct(SUM, script, per_question=3)
    assert {name: row["corrected_by"] for name, row in rows.items() if row["case"] == "bad"} == {
        "sample-0": 1,
        "sample-2": 3,
        "sample-4": 1,
    }


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("3+4 = <<3+4=7>>7\n#### 7", "3+4 = <<3+4=7>>7\nThe answer is 7."),
        ("7", "The answer is 7."),
        ("The answer is 7. Easy!", "The answer is 7. Easy!"),
        ("I count on.\nThe answer is 7.\nAnother question?", "I count on.\nThe answer is 7."),
    ],
)
def test_without_a_right_sample_the_gold_solution_corrects(answer: str, final: str) -> None:
    rows, _, _ = correct({**SUM, "answer": answer}, ["The answer is 8."])
    assert (rows["sample-0"]["final"], rows["sample-0"]["corrected_by"]) == (final, None)


@pytest.mark.parametrize("answer", ["C", "iron", "(C) iron", "Only metals are drawn.\nThe answer is C."])
def test_a_gold_option_corrects_in_the_form_of_the_samples(answer: str) -> None:
    rows, _, _ = correct({**MAGNET, "answer": answer}, [WRONG])
    assert rows["sample-0"]["final"].endswith("The answer is C.")


def test_a_gold_solution_that_would_be_read_otherwise_corrects_nothing() -> None:
    row = {**SUM, "answer": "Some say that the answer is 5 and stop there.\n#### 7"}
    rows, filtered, reject = correct(row, ["The answer is 8.", "The answer is 7."])
    assert rows["sample-0"]["corrected_by"] == 1
    rows, filtered, reject = correct(row, ["The answer is 8."])
    assert reject is not None
    assert (rows, filtered, reject.reason) == ({}, {"sample-0": "no_correction"}, "no_correction")


def test_other_forms_of_answers_are_asked_for_and_written() -> None:
    tools = ScriptedTools(["#### 8"])
    rows, _, _ = process(Correct(n=1, answer_marks=("#### ",)), SUM, tools)
    assert rows[0]["final"] == SUM["answer"]
    assert "\n\n#### X" in tools.requests[0][0][0]["content"]  # type: ignore[index]
    boxed = ScriptedTools([r"It is \boxed{8}."])
    rows, _, _ = process(Correct(n=1, boxed=True), SUM, boxed)
    assert rows[0]["final"] == "3+4 = <<3+4=7>>7\n\\boxed{7}"
    assert r"\boxed{X}" in boxed.requests[0][0][0]["content"]  # type: ignore[index]


def test_an_answer_in_other_words_is_neither_right_nor_wrong() -> None:
    row = {**SUM, "question": "Who wrote it?", "answer": "The Brothers Grimm"}
    rows, filtered, _ = correct(
        row, ["The answer is Brothers Grimm.", "The answer is the brothers Grimm", "The answer is Goethe"]
    )
    assert filtered == {"sample-0": "not_wrong"}
    assert {name: one["case"] for name, one in rows.items()} == {"sample-1": "good", "sample-2": "bad"}


def test_numbers_that_look_alike_are_not_the_same() -> None:
    rows, filtered, _ = correct({**SUM, "answer": "3/4"}, ["The answer is 3.4"])
    assert (filtered, rows["sample-0"]["case"]) == ({}, "bad")


@pytest.mark.parametrize(("share", "kinds"), [(0.0, {"good"}), (1.0, {"bad"}), (0.5, {"good", "bad"})])
def test_all_of_one_kind_or_both(share: float, kinds: set[str]) -> None:
    rows, filtered, _ = correct(MAGNET, [WRONG, RIGHT], bad_share=share)
    assert {row["case"] for row in rows.values()} == kinds
    assert len(filtered) == 2 - len(kinds)
    assert {*filtered.values()} <= {"thinned"}


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_share_of_bad_cases_is_that_of_questions_that_have_both(share: float) -> None:
    found = {"good": 0, "bad": 0}
    for number in range(400):

        class Numbered(ScriptedTools):
            def random(self, *purpose: str | int, row: int = number) -> Any:
                return super().random(row, *purpose)

        rows, _, _ = process(Correct(n=2, bad_share=share), MAGNET, Numbered([WRONG, RIGHT]))
        for row in rows:
            found[row["case"]] += 1
    assert found["bad" if share > 0.5 else "good"] == 400
    assert found["bad"] / sum(found.values()) == pytest.approx(share, abs=0.04)


def test_a_wording_that_gives_the_answer_away_is_not_drawn() -> None:
    row = {**SUM, "question": "Is iron a metal?", "answer": "yes"}
    own = Prompt("# right\nYes.\n# wrong\nYes, I was wrong.\nI was wrong.", "own.md")
    rows, _, _ = correct(row, ["The answer is no"] * 9, per_question=9, wordings=own)
    assert {one["verdict"] for one in rows.values()} == {"I was wrong."}
    only = Prompt("# right\nYes.\n# wrong\nYes, I was wrong.", "own.md")
    script = ["The answer is no", "I cannot tell."]
    made, lost, _ = process(Correct(n=2, wordings=only), row, ScriptedTools(script))
    # What a filtered sample said is its own reply, not that of the others.
    assert (made, [(one.reason, list(one.replies)) for one in lost]) == (
        [],
        [("no_answer", script[1:]), ("quotes_gold", script[:1])],
    )


def test_a_model_writes_verifications_and_is_told_the_verdict_and_the_solution() -> None:
    said = ["Paper is not drawn to magnets.\nVerdict: incorrect", "Iron is a metal, so it is drawn.\nVerdict: correct"]
    tools = Two([WRONG, RIGHT], said)
    rows, filtered, _ = process(Correct(n=2, verify="model"), {**MAGNET, "answer": "It is C) iron."}, tools)
    assert not rows
    tools = Two([WRONG, RIGHT], said)
    rows, filtered, _ = process(Correct(n=2, verify="model"), MAGNET, tools)
    assert not filtered
    assert [row["verdict"] for row in rows] == ["Paper is not drawn to magnets.", "Iron is a metal, so it is drawn."]
    (first, first_samples), (second, second_samples) = tools.asked_to_verify
    assert "The answer is wrong." in first[0]["content"]
    assert "Verdict: incorrect" in first[0]["content"]
    assert "The answer is right." in second[0]["content"]
    assert WRONG in first[1]["content"]
    assert not {*first_samples} & {*second_samples}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("It holds.\nVerdict: correct", "contradicts"),
        ("It fails.", "no_verdict"),
        ("Verdict: incorrect", "no_reason"),
        ("It has to be iron.\nVerdict: incorrect", "quotes_gold"),
        ("It is (C) of course.\nVerdict: incorrect", "quotes_gold"),
        ("Rather C.\nVerdict: incorrect", "quotes_gold"),
        ("  ", "empty_answer"),
    ],
)
def test_a_verification_with_a_fault_is_tried_again(said: str, reason: str) -> None:
    good = "Paper is not drawn.\nVerdict: incorrect"
    rows, filtered, _ = process(Correct(n=1, verify="model"), MAGNET, Two([WRONG], [said, good]))
    assert ([row["verdict"] for row in rows], filtered) == (["Paper is not drawn."], [])
    rows, filtered, reject = process(Correct(n=1, verify="model"), MAGNET, Two([WRONG], [said, said]))
    assert ([one.reason for one in filtered], rows) == ([reason], [])
    assert filtered[0].row["first"] == WRONG
    assert list(filtered[0].replies) == [said]
    assert reject is not None
    assert reject.reason == reason


@pytest.mark.parametrize(
    ("said", "quotes"),
    [
        ("There should be 7 of them.", True),
        ("There should be 7.0 of them.", True),
        ("That makes $7.", True),
        ("I counted 17 and 0.7 and 7.5.", False),
        ("I added seven times.", False),
    ],
)
def test_a_number_is_given_away_in_any_writing(said: str, quotes: bool) -> None:
    rows, _, _ = process(
        Correct(n=1, verify="model", tries=1), SUM, Two(["The answer is 8"], [f"{said}\nVerdict: incorrect"])
    )
    assert bool(rows) is not quotes


def test_the_article_a_does_not_give_option_a_away() -> None:
    row = {**MAGNET, "answer": "A", "choices": json.dumps(["wood", "paper", "iron"])}
    for said, quotes in (("A magnet is not drawn to it.", False), ("It is option A.", True), ("Not B, (A).", True)):
        tools = Two(["The answer is B"], [f"{said}\nVerdict: incorrect"])
        rows, _, _ = process(Correct(n=1, verify="model", tries=1), row, tools)
        assert bool(rows) is not quotes


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**MAGNET, "answer": None}, "no_gold"),
        ({**MAGNET, "answer": "D"}, "no_gold"),
        (
            {**SUM, "answer": "It is a long story, and nobody knows how it ends, or whether it does so at all."},
            "no_gold",
        ),
        ({**MAGNET, "choices": '["wood"]'}, "bad_choices"),
        ({**MAGNET, "choices": '["wood", "the wood"]'}, "bad_choices"),
        ({**MAGNET, "question": " "}, "no_question"),
    ],
)
def test_questions_that_cannot_be_asked_are_rejected(row: Any, reason: str) -> None:
    tools = ScriptedTools([])
    _, _, reject = process(Correct(), row, tools)
    assert reject is not None
    assert (reject.reason, tools.requests) == (reason, [])


def test_a_question_without_a_usable_sample_is_rejected() -> None:
    _, filtered, reject = correct(MAGNET, [NONE, NONE])
    assert reject is not None
    assert (reject.reason, len(filtered)) == ("no_answer", 2)
    stage = Correct(n=3)
    script: list[str | tuple[str, str]] = [("", "length"), ("#### 5", "refused"), " "]
    _, samples, reject = process(stage, MAGNET, ScriptedTools(script))
    assert [one.reason for one in samples] == ["truncated", "refused", "empty_answer"]
    assert reject is not None
    assert reject.reason == "nothing_kept"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "-n 0"),
        ({"per_question": 0}, "--per-question 0"),
        ({"bad_share": 1.1}, "--bad-share 1.1"),
        ({"verify": "luck"}, "--verify luck"),
        ({"tries": 0}, "--tries 0"),
        ({"answer_marks": ("",)}, "--answer-mark is empty"),
        ({"boxed": True, "answer_marks": ("A:",)}, "--answer-mark and --boxed exclude each other"),
        ({"wordings": Prompt("It is right.", "own.md")}, "--wordings own.md has no wordings for right and wrong"),
        (
            {"wordings": Prompt("# right\nYes.\n# wrong\n \n", "own.md")},
            "has no wordings for wrong .* the line # wrong",
        ),
    ],
)
def test_errors_name_the_flag(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Correct(**options)
