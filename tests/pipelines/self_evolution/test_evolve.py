"""A scripted model judges and refines its own answers."""

from typing import Any

import pytest

from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.self_evolution.evolve import RefineSelf
from synth.pipelines.self_evolution.leaks import trace_of_feedback
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import process
from tests.pipelines.self_evolution.author import Author

ROW: dict[str, Any] = {"id": "q", "prompt": "What is 3+4?", "gold": None}
GOOD, BAD = "Every step holds.\nVerdict: correct", "The sum is off by one.\nVerdict: incorrect"


def outcome(author: Author, row: Any = ROW, **options: Any) -> tuple[list[Any], dict[str, str], str | None]:
    """The rows, the reason of each filtered answer by the end of its id, and that of the prompt."""
    rows, filtered, reject = process(RefineSelf(**options), row, author)
    return list(rows), {one.row["id"][2:]: one.reason for one in filtered}, reject.reason if reject else None


def test_a_row_has_all_that_was_said() -> None:
    rows, _, _ = outcome(Author([" It is 8.\n"], [BAD, GOOD], ["It is 7."]))
    assert rows == [
        {
            "id": "q/answer-0",
            "prompt_id": "q",
            "prompt": "What is 3+4?",
            "answer": "It is 8.",
            "feedback": "The sum is off by one.",
            "verdict": "incorrect",
            "refined": "It is 7.",
            "final_feedback": "Every step holds.",
            "final_verdict": "correct",
            "kept": True,
            "messages": [{"role": "user", "content": "What is 3+4?"}, {"role": "assistant", "content": "It is 7."}],
            "reasoning": None,
            "model": "scripted",
        }
    ]


def test_judgements_are_greedy_and_answers_are_not() -> None:
    author = Author(["It is 8."], [BAD, GOOD], ["It is 7."])
    outcome(author)
    assert [sampling.temperature for _, sampling, _ in author.requests] == [0.7, 0.0, 0.7, 0.0]
    author = Author(["It is 8."], ["Hm.", GOOD, GOOD], ["It is 7."])
    outcome(author)
    # A greedy retry would repeat itself.
    assert [sampling.temperature for _, sampling, _ in author.requests][1:3] == [0.0, 1.0]


def test_the_model_is_shown_the_answer_and_then_its_own_feedback_without_the_verdict() -> None:
    author = Author(["It is 8."], [BAD, GOOD], ["It is 7."])
    outcome(author)
    asked = [prompt[-1]["content"] for prompt, _, _ in author.requests]  # type: ignore[index]
    assert [("It is 8." in one, "The sum is off" in one, "Verdict" in one) for one in asked] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (False, False, False),
    ]
    assert "It is 7." in asked[3]


def test_only_answers_found_wrong_are_refined_on_request() -> None:
    author = Author(["It is 7."], [GOOD], [])
    rows, _, _ = outcome(author, refine="wrong")
    assert author.asked == ["answer", "judge"]
    assert (rows[0]["refined"], rows[0]["final_verdict"], rows[0]["kept"]) == ("It is 7.", "correct", True)
    author = Author(["It is 8."], [BAD, GOOD], ["It is 7."])
    assert outcome(author, refine="wrong")[0][0]["refined"] == "It is 7."


def test_a_refinement_that_changes_white_space_alone_is_none_and_is_not_judged_again() -> None:
    author = Author(["It is  7."], [GOOD], ["It is\n7. "])
    rows, _, _ = outcome(author)
    assert (rows[0]["refined"], author.asked) == ("It is  7.", ["answer", "judge", "refine"])
    assert author.tallies["changed"] == 0
    _, filtered, reason = outcome(Author(["It is 8."], [BAD], ["It is 8."]))
    assert (filtered, reason) == ({"answer-0": "still_bad"}, "still_bad")


def test_several_answers_are_judged_each_by_itself() -> None:
    author = Author(["It is 8.", "It is 7."], [BAD, BAD], ["It is 8.", "It is 7."])
    rows, filtered, reason = outcome(author, answers=2)
    assert (rows, filtered, reason) == ([], {"answer-0": "still_bad", "answer-1": "still_bad"}, "still_bad")
    samples = [samples for prompt, _, samples in author.requests if "You check" in prompt[0]["content"]]  # type: ignore[index]
    assert [one.start for one in samples] == [0, 2]


def test_without_the_filter_all_are_written_with_what_it_would_have_kept() -> None:
    rows, filtered, _ = outcome(Author(["It is 7."], [GOOD, BAD], ["It is 9."]), filter=False)
    assert (filtered, [(row["refined"], row["kept"]) for row in rows]) == ({}, [("It is 9.", False)])


@pytest.mark.parametrize(
    ("answers", "judgements", "refinements", "reason"),
    [
        (["It…"], [], [], "truncated"),
        ([" "], [], [], "empty_answer"),
        (["It is 8."], ["Hm.", "Hm."], [], "no_verdict"),
        (["It is 8."], ["Verdict: correct"] * 2, [], "no_reason"),
        (["It is 8."], [BAD], ["It is…"], "truncated"),
        (["It is 8."], [BAD], [" "], "empty_answer"),
        (["It is 8."], [BAD], ["As you pointed out, it is 7."], "leaks_feedback"),
        (["It is 8."], [BAD, "Hm.", "Hm."], ["It is 7."], "no_verdict"),
    ],
)
def test_a_chain_that_breaks_is_filtered_with_what_it_has(
    answers: list[str], judgements: list[str], refinements: list[str], reason: str
) -> None:
    rows, filtered, why = outcome(Author(answers, judgements, refinements))
    assert (rows, filtered, why) == ([], {"answer-0": reason}, reason)


def test_a_prompt_of_blanks_is_rejected() -> None:
    author = Author([], [], [])
    assert outcome(author, {**ROW, "prompt": "\n "}) == ([], {}, "no_prompt")
    assert author.asked == []


@pytest.mark.parametrize(
    ("before", "after", "final", "right"),
    [
        ("The answer is 8.", "The answer is 7.", GOOD, (0, 1, 1, 1)),
        ("The answer is 7.", "The answer is 8.", GOOD, (1, 0, 1, 0)),
        ("#### 7", "The answer is 7.", BAD, (1, 1, 0, 0)),
        ("Seven.", "It is 7.", GOOD, (0, 0, 1, 0)),
    ],
)
def test_with_a_gold_answer_the_truth_is_counted_and_decides_nothing(
    before: str, after: str, final: str, right: tuple[int, ...]
) -> None:
    row = {**ROW, "gold": "3+4=7\n#### 7"}
    author, blind = (Author([before], [BAD, final], [after]) for _ in range(2))
    rows, filtered, _ = outcome(author, row)
    assert (rows, filtered) == outcome(blind)[:2]
    names = ("right_before", "right_after", "kept_with_gold", "kept_right")
    assert tuple(author.tallies[name] for name in names) == right
    assert author.tallies["wrong_to_right"] == (right[:2] == (0, 1))
    assert author.tallies["right_to_wrong"] == (right[:2] == (1, 0))
    assert "with_gold" not in blind.tallies


def test_the_shares_of_a_round_have_something_to_be_divided_by() -> None:
    author = Author(["It is 8."], [BAD, GOOD], ["It is 7."])
    outcome(author, {**ROW, "gold": "7"})
    for name, by in RefineSelf().means.items():
        assert author.tallies[by] == 1
        assert name in author.tallies


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"answers": 0}, "--answers 0"),
        ({"refine": "never"}, "--refine never"),
        ({"judge_temperature": -1.0}, "--judge-temperature -1"),
        ({"answer_marks": ()}, "--answer-mark is empty"),
    ],
)
def test_errors_name_the_flag(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        RefineSelf(**options)


FEEDBACK = "The second step adds three to four and takes eight for the sum of both numbers."


@pytest.mark.parametrize(
    "text",
    [
        "As you pointed out, it is 7.",
        "As the reviewer noted, the sum is 7.",
        "Thank you for the feedback. It is 7.",
        "My previous answer was off. It is 7.",
        "Here is the corrected answer: 7.",
        "You're right, it is 7.",
        "I apologise. It is 7.",
        "It is 7. The review is more detailed.",
        "Here one adds three to four and takes eight for the sum, which is 7.",
    ],
)
def test_what_speaks_of_the_review_is_found(text: str) -> None:
    assert trace_of_feedback(text, FEEDBACK, "What is 3+4?", "It is 8.")


@pytest.mark.parametrize(
    "text",
    [
        "First add three to four. The sum is seven.",
        "You are rightly asking for the sum: it is 7.",
        "Customers leave feedback in a box, and the reviewers of the paper read it.",
        "",
    ],
)
def test_what_stands_alone_is_left_alone(text: str) -> None:
    assert trace_of_feedback(text, FEEDBACK, "What is 3+4?", "It is 8.") is None


def test_words_that_the_review_quotes_are_no_trace() -> None:
    answer = "One adds three to four and takes eight for the sum of both."
    assert trace_of_feedback(answer, FEEDBACK, "What is 3+4?")
    assert trace_of_feedback(answer, FEEDBACK, "What is 3+4?", answer) is None


def test_a_phrase_of_the_task_or_of_the_first_answer_is_no_trace() -> None:
    letter = "Dear Ms Lane, my apologies for the delay. Thank you for your patience."
    assert trace_of_feedback(letter, FEEDBACK, "Write to Ms Lane that we are late.", "We are late.")
    assert (
        trace_of_feedback(
            letter, FEEDBACK, "Write to Ms Lane that we are late.", "My apologies. Thank you for your time."
        )
        is None
    )
    assert (
        trace_of_feedback("The review praises the film.", FEEDBACK, "What does the review say?", "It is bad.") is None
    )


def test_a_prompt_of_ones_own_is_asked() -> None:
    author = Author(["It is 8."], [BAD, GOOD], ["It is 7."])
    own = Prompt("# user\nAnswer briefly: {{ prompt }}", "own.md")
    outcome(author, prompt=own)
    assert author.requests[0][0][0]["content"] == "Answer briefly: What is 3+4?"  # type: ignore[index]
