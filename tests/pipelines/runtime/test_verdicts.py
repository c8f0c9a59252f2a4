"""Verdicts at the end of a reply."""

import pytest

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.stage import Reject
from synth.pipelines.runtime.verdicts import Judgement, judgement_of


def said(text: str, finish_reason: str = "stop") -> Judgement:
    return judgement_of(Completion(text, finish_reason, 9))


@pytest.mark.parametrize(
    ("line", "is_right"),
    [
        ("Verdict: correct", True),
        ("Verdict: incorrect", False),
        ("verdict: Correct.", True),
        ("**Verdict:** incorrect", False),
        ("**Verdict: incorrect**", False),
        ("> Verdict : correct \n\n", True),
        ("## Verdict\tincorrect!", False),
        ("2. **Verdict:** correct", True),
    ],
)
def test_the_last_line_says_whether_it_is_right(line: str, is_right: bool) -> None:
    assert said(f"Step 2 adds 3 and 4.\n\n{line}") == Judgement("Step 2 adds 3 and 4.", is_right)


def test_a_verdict_in_the_middle_is_not_read() -> None:
    text = "Verdict: correct\nThat was hasty. Step 2 is off by one."
    assert said(f"{text}\nVerdict: incorrect") == Judgement(text, False)
    assert said("I waver.\nVerdict: incorrect\nNo, it is fine.\nVerdict: correct").is_right


def test_a_reply_may_be_json() -> None:
    assert said('{"review": "Step 2 is off by one.", "verdict": "incorrect"}') == Judgement(
        "Step 2 is off by one.", False
    )
    reply = '```json\n{"review": "It holds.", "verdict": "Correct", "answer": "It is 7.\\n"}\n```'
    assert said(reply) == Judgement("It holds.", True, "It is 7.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It is all wrong.", "no_verdict"),
        ("It is correct.", "no_verdict"),
        ("Well.\nVerdict:", "no_verdict"),
        ("Well.\nVerdict: unclear", "no_verdict"),
        ("Well.\nVerdict: correct or incorrect", "no_verdict"),
        ("Well.\nVerdict: not correct", "no_verdict"),
        ("Well.\nVerdict: correct\nVerdict: perhaps", "no_verdict"),
        ("My verdict: correct", "no_verdict"),
        ("Verdict: correct", "no_reason"),
        ("\n \nVerdict: correct", "no_reason"),
        ('{"review": "It holds."}', "no_verdict"),
        ('{"review": "It holds.", "verdict": true}', "no_verdict"),
        ('{"review": " ", "verdict": "correct"}', "no_reason"),
        (" ", "empty_answer"),
    ],
)
def test_without_one_verdict_and_a_reason_there_is_no_judgement(text: str, reason: str) -> None:
    with pytest.raises(Reject) as caught:
        said(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("finish_reason", "reason"), [("length", "truncated"), ("refused", "refused")])
def test_a_reply_that_was_broken_off_says_nothing(finish_reason: str, reason: str) -> None:
    with pytest.raises(Reject) as caught:
        said("It is right.\nVerdict: correct", finish_reason)
    assert caught.value.reason == reason
