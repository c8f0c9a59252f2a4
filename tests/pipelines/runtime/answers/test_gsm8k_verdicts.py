"""If the gold answer is a plain integer, as in GSM8K, plain answers are judged like in the published code."""

import json
import re
from pathlib import Path

import pytest

from synth.pipelines.runtime.answers.answer import MarkedAnswers, extract_answer

TRAIN = Path(__file__).parents[5] / "shared" / "data" / "gsm8k-train.jsonl"
RULE = MarkedAnswers()

FORMS = (
    "{}",
    "{}.",
    "{}.0",
    "{}.00",
    "{} ",
    "{}\r",
    "{}\nQuestion: and then?\n#### 1",
    "{}%",
    "{} %",
    "{} apples",
    "{} hours.",
    "{} miles per hour",
    "{}km",
    "{} dollars, which is all that she has left",
    "{}, in total",
    "{} (the total)",
    "{}</s>",
    "{}.5",
    "{}0",
    "1{}",
    "-{}",
    "{}9 apples",
)

pytestmark = pytest.mark.skipif(not TRAIN.is_file(), reason="the GSM8K training set is not beside the repository")


@pytest.fixture(scope="module")
def solutions() -> list[str]:
    with TRAIN.open(encoding="utf-8") as lines:
        return [json.loads(line)["answer"] for line in lines]


def verdicts(response: str, solution: str) -> tuple[bool, bool]:
    """Whether the published code accepts the response, and whether the rule does."""
    published, published_gold = extract_answer(response), extract_answer(solution)
    answer, gold = RULE.find(response), RULE.gold(solution)
    assert published_gold is not None
    assert gold is not None
    return (
        published is not None and published.value == published_gold.value,
        answer is not None and RULE.same(answer, gold),
    )


def test_every_gold_answer_is_read_as_published(solutions: list[str]) -> None:
    for solution in solutions:
        published = extract_answer(solution)
        gold, bare = RULE.gold(solution), RULE.gold(solution.rpartition("#### ")[2])
        assert published is not None
        assert gold is not None
        assert bare is not None
        assert gold.value == bare.value == published.value
        assert (gold.text, gold.start, gold.end) == (published.text, published.start, published.end)


def test_plain_answers_are_judged_as_published(solutions: list[str]) -> None:
    for index, solution in enumerate(solutions):
        answer = solution.rpartition("#### ")[2]
        other = solutions[index - 1].rpartition("#### ")[2]
        for form in FORMS:
            for number in (answer, other):
                published, judged = verdicts(f"Step by step.\n#### {form.format(number)}", solution)
                assert judged == published, (solution, form, number)


def test_words_after_a_number_in_real_solutions_rarely_change_it(solutions: list[str]) -> None:
    """They change it only if they state another value: `4 million`, `9 a.m.`, `16 + P photos`."""
    changed: list[str] = []
    judged = 0
    for solution in solutions:
        answer = solution.rpartition("#### ")[2]
        for words in re.findall(r">>[\d.,]*([^\d<>\n]*)$", solution, re.MULTILINE):
            judged += 1
            published, ours = verdicts(f"#### {answer}{words}", solution)
            if published != ours:
                changed.append(f"{answer}{words}")
    assert judged > 17_000
    assert len(changed) < 40, changed
