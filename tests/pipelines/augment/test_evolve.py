import json
from typing import Any

import pytest

from synth.pipelines.augment.evolve import EVOLUTIONS, Evolve, parse_evolutions
from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import ScriptedTools, process

QUESTIONS = [f"How many buns are {number} and {number}?" for number in range(1, 6)]


def reply(questions: list[str], *, item: str = "{number}. **{name}**: {question}", after: str = "\n") -> str:
    return after.join(
        item.format(number=number, name=name, question=question)
        for number, (name, question) in enumerate(zip(EVOLUTIONS, questions, strict=False), start=1)
    )


@pytest.mark.parametrize(
    "item",
    [
        "{number}. **{name}**: {question}",
        "{number}. **{name}:** {question}",
        "{number}) **{name}** : {question}",
        "  {number}. ** {name} **:\n   {question}",
        "{number}.**{name}**:{question}",
    ],
)
def test_numbered_lists_with_bold_names_are_read(item: str) -> None:
    assert parse_evolutions(reply(QUESTIONS, item=item)) == QUESTIONS
    assert parse_evolutions("Sure! Here they are:\n\n" + reply(QUESTIONS, item=item, after="\n\n")) == QUESTIONS


def test_names_are_compared_without_case_and_punctuation() -> None:
    assert (
        parse_evolutions(reply(QUESTIONS).replace("Change specific numbers", "CHANGE  Specific Numbers.")) == QUESTIONS
    )


def test_a_question_may_span_lines_and_contain_lists() -> None:
    long = "Nora sells:\n\n1. buns\n2. **rolls**\n1. **Cakes**: 4 trays\n\nHow many kinds of things are there?"
    questions = [QUESTIONS[0], long, *QUESTIONS[2:]]
    assert parse_evolutions(reply(questions)) == questions


@pytest.mark.parametrize(
    ("last", "question"),
    [
        ("How many?\n\nI hope that these help! Shall I write more?", "How many?"),
        ("Find the sum.\n\nThese have one answer each.", "Find the sum."),
        ("The prices are:\n- 3\n- 4\n\nHow many?\n\nGood luck.", "The prices are:\n- 3\n- 4\n\nHow many?"),
    ],
)
def test_a_closing_remark_is_dropped_from_the_last_question(last: str, question: str) -> None:
    assert parse_evolutions(reply([*QUESTIONS[:4], last]))[-1] == question


def test_an_object_is_read_by_its_names() -> None:
    members = dict(zip(EVOLUTIONS, QUESTIONS, strict=True))
    assert parse_evolutions(json.dumps(members)) == QUESTIONS
    backwards = {name.upper(): members[name] for name in reversed(members)}
    assert parse_evolutions(f"```json\n{json.dumps(backwards, indent=2)}\n```") == QUESTIONS


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (None, "wrong_count"),
        (["And?"], "wrong_count"),
        (" 42 ", "empty_question"),
        (QUESTIONS[0].upper(), "repeated_question"),
        ("How many buns are  there?", "repeated_question"),
    ],
)
def test_an_object_without_five_new_questions_is_rejected(changed: Any, reason: str) -> None:
    members = {**dict(zip(EVOLUTIONS, QUESTIONS, strict=True)), EVOLUTIONS[2]: changed}
    with pytest.raises(Reject, match=f"{reason}.*'Combine multiple concepts'"):
        parse_evolutions(json.dumps(members), "How many buns are there?")


RIGHT = reply(QUESTIONS)


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("I cannot do that.", "wrong_count", "found none"),
        (reply(QUESTIONS[:4]), "wrong_count", "found 1, 2, 3, 4"),
        (RIGHT + "\n6. **Another one**: And?", "wrong_count", "found 1, 2, 3, 4, 5, 6"),
        (RIGHT.replace("4. **Include", "3. **Include"), "wrong_count", "found 1, 2, 3, 3, 5"),
        (RIGHT + "\n" + RIGHT, "wrong_count", "found 1, 2, 3, 4, 5, 1, 2, 3, 4, 5"),
        (RIGHT.replace("4. **Include a conditional statement**", "4. Include"), "wrong_count", "found 1, 2, 3, 5"),
        (
            RIGHT.replace("Combine multiple concepts", "Add a condition"),
            "wrong_name",
            "item 3 is named 'Add a condition'",
        ),
        (
            RIGHT.replace("Introduce fractions or percentages", "Change specific numbers"),
            "wrong_name",
            "item 2 is named 'Change specific numbers', not 'Introduce fractions or percentages'",
        ),
        (RIGHT.replace(QUESTIONS[1], " "), "empty_question", "item 2"),
        (RIGHT.replace(QUESTIONS[4], ""), "empty_question", "item 5"),
    ],
)
def test_anything_but_five_named_questions_is_rejected(text: str, reason: str, detail: str) -> None:
    with pytest.raises(Reject) as reject:
        parse_evolutions(text)
    assert reject.value.reason == reason
    assert detail in reject.value.detail


def test_one_call_gives_five_rows() -> None:
    tools = ScriptedTools([RIGHT])
    rows, _, _ = process(Evolve(), {"id": "gsm8k-17", "query": "How many buns?"}, tools)
    assert len(tools.requests) == 1
    assert [row["query"] for row in rows] == QUESTIONS
    assert rows[1] == {
        "id": "gsm8k-17/evolve-2",
        "parent_id": "gsm8k-17",
        "evolution_type": 2,
        "evolution_name": "Introduce fractions or percentages",
        "query": QUESTIONS[1],
        "evolver_model": "scripted",
        "round": 1,
        "reasoning": None,
    }


def test_rounds_are_counted_from_the_seed() -> None:
    rows, _, _ = process(Evolve(), {"id": "q/evolve-3", "query": "How many?"}, ScriptedTools([RIGHT]))
    assert {row["round"] for row in rows} == {2}
    assert rows[0]["id"] == "q/evolve-3/evolve-1"


def test_a_reply_that_was_cut_is_rejected_even_if_it_can_be_parsed() -> None:
    _, _, reject = process(Evolve(), {"id": "q", "query": "?"}, ScriptedTools([(RIGHT, "length")]))
    assert reject is not None
    assert reject.reason == "truncated"


def test_another_try_asks_for_the_next_sample() -> None:
    tools = ScriptedTools(["no", (RIGHT, "length"), RIGHT])
    rows, _, reject = process(Evolve(tries=3), {"id": "q", "query": "?"}, tools)
    assert reject is None
    assert len(rows) == 5
    assert [samples for _, _, samples in tools.requests] == [range(1), range(1, 2), range(2, 3)]


def test_the_reason_is_that_of_the_last_try() -> None:
    _, _, reject = process(Evolve(tries=2), {"id": "q", "query": "?"}, ScriptedTools([(RIGHT, "length"), "no"]))
    assert reject is not None
    assert reject.reason == "wrong_count"


def test_zero_tries_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--tries 0"):
        Evolve(tries=0)
