"""A tree of queries grows from each seed; what repeats or cannot be used is filtered by name."""

import asyncio
from typing import Any

import pytest

from synth.pipelines.engines import Answer
from synth.pipelines.query_of_cc.bootstrap import FOLDER, KINDS, Bootstrap
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row
from synth.schemas.errors import UsageError
from tests.pipelines.query_of_cc.talking import Model, Talking, attentive, seed, small
from tests.pipelines.scripted import process

TWO = "1. How is soup made well?\n2. Why is it then ea"


def grown(stage: Bootstrap, row: Row, model: Model = attentive) -> tuple[dict[str, Row], dict[str, tuple[str, str]]]:
    """The queries, and the reasons and details of those filtered, by id."""
    rows, filtered, reject = process(stage, row, Talking(model))
    assert reject is None, reject
    return {one["id"]: one for one in rows}, {one.row["id"]: (one.reason, one.detail) for one in filtered}


def rejection(stage: Bootstrap, row: Row, model: Model = attentive) -> Reject:
    rows, _, reject = process(stage, row, Talking(model))
    assert rows == []
    assert reject is not None
    return reject


def test_a_round_asks_for_questions_and_then_for_a_thought_about_each() -> None:
    def cook(asked: str, _: int) -> str:
        return f"So I {asked}" if asked.startswith("think") else "1. How is soup made well?\n2. Why is soup so good?"

    tools = Talking(cook)
    rows, filtered, _ = process(small(rounds=1), seed("soup"), tools)
    assert filtered == []
    assert rows == [
        {
            "id": "s",
            "domain": "cooking",
            "kind": "seed",
            "text": "soup",
            "parent_id": None,
            "round": 0,
            "model": None,
            "reasoning": None,
        },
        *(
            {
                "id": query_id,
                "domain": "cooking",
                "kind": kind,
                "text": text,
                "parent_id": parent,
                "round": 1,
                "model": "scripted",
                "reasoning": None,
            }
            for query_id, kind, text, parent in [
                ("s/q0", "question", "How is soup made well?", "s"),
                ("s/q1", "question", "Why is soup so good?", "s"),
                ("s/q0/t0", "thought", "So I think: How is soup made well?", "s/q0"),
                ("s/q1/t0", "thought", "So I think: Why is soup so good?", "s/q1"),
            ]
        ),
    ]
    assert [(messages[0]["content"], sampling.temperature) for messages, sampling, _ in tools.requests] == [  # type: ignore[index]
        ("2 questions of cooking from the phrase: soup", 1.0),
        ("think: How is soup made well?", 0.7),
        ("think: Why is soup so good?", 0.7),
    ]


def test_the_next_round_extends_the_questions_and_the_thoughts_of_the_last() -> None:
    tools = Talking(attentive)
    rows, _, _ = process(small(), seed("soup"), tools)
    ids = [row["id"] for row in rows if row["round"] == 2]
    parents = ["s/q0", "s/q1", "s/q0/t0", "s/q1/t0"]
    questions = [f"{parent}/q{place}" for parent in parents for place in range(2)]
    assert ids == [*questions, *(f"{question}/t0" for question in questions)]
    assert all(row["id"].rpartition("/")[0] == row["parent_id"] for row in rows[1:])
    assert all(row["round"] == row["id"].count("/q") for row in rows)
    asked = [messages[0]["content"].partition(":")[0] for messages, _, _ in tools.requests]  # type: ignore[index]
    assert asked.count("2 questions of cooking from the question") == 2
    assert asked.count("2 questions of cooking from the thought") == 2


def test_several_replies_and_thoughts_are_samples_of_one_request() -> None:
    tools = Talking(attentive)
    rows, _, _ = process(small(rounds=1, samples=3, thoughts_per_question=2), seed("soup"), tools)
    assert [samples for _, _, samples in tools.requests] == [range(3), *[range(2)] * 6]
    assert [row["id"] for row in rows if row["kind"] == "question"] == [f"s/q{place}" for place in range(6)]
    assert [row["id"] for row in rows if row["kind"] == "thought"][:3] == ["s/q0/t0", "s/q0/t1", "s/q1/t0"]


def test_thoughts_can_be_left_out() -> None:
    queries, _ = grown(small(thoughts_per_question=0), seed("soup"))
    assert {query["kind"] for query in queries.values()} == {"seed", "question"}
    assert len(queries) == 1 + 2 + 4


def test_the_parents_of_later_rounds_are_bounded_and_drawn_by_the_seed_of_the_run() -> None:
    tools = Talking(attentive)
    rows, _, _ = process(small(rounds=3, parents=3), seed("soup"), tools)
    by_round = [[row for row in rows if row["round"] == number] for number in range(4)]
    assert [len(queries) for queries in by_round] == [1, 4, 12, 12]
    for queries, extended in zip(by_round[2:], by_round[1:], strict=False):
        parents = [query["parent_id"] for query in queries if query["kind"] == "question"]
        # In the order in which they came.
        assert list(dict.fromkeys(parents)) == [row["id"] for row in extended if row["id"] in parents]
        assert len(set(parents)) == 3
    assert tools.tallies["not_extended"] == (4 - 3) + (12 - 3)


def test_however_answers_come_in_the_tree_is_the_same() -> None:
    class Reversed(Talking):
        async def generate(self, *request: Any, **how: Any) -> Answer:
            await asyncio.sleep(0.01 - 0.001 * (len(self.requests) % 9))
            return await super().generate(*request, **how)

    assert process(small(rounds=3), seed("soup"), Talking(attentive)) == process(
        small(rounds=3), seed("soup"), Reversed(attentive)
    )


def test_queries_that_repeat_an_earlier_one_are_filtered_naming_it() -> None:
    def repeating(asked: str, _: int) -> str:
        if asked.startswith("think"):
            return "The pot is hot, so the soup boils."
        return "1. How is soup made well?\n2. HOW is  soup made, well?!\n3. Why is soup good at all?"

    queries, filtered = grown(small(rounds=1, questions_per_seed=3), seed("Why is soup good, at all"), repeating)
    assert list(queries) == ["s", "s/q0", "s/q0/t0"]
    assert filtered == {"s/q1": ("duplicate", "of s/q0"), "s/q2": ("duplicate", "of s")}


def test_queries_that_nearly_repeat_an_earlier_one_are_filtered_naming_it() -> None:
    long = "When water is heated in a pot with a lid, the steam stays inside and the soup boils sooner than without it"

    def repeating(asked: str, _: int) -> str:
        if not asked.startswith("think"):
            return "1. Why does a lid help?\n2. When does a soup boil?"
        return long + ("." if "lid" in asked else ", as cooks know.")

    queries, filtered = grown(small(rounds=1), seed("soup"), repeating)
    assert filtered == {"s/q1/t0": ("near_duplicate", "of s/q0/t0")}
    assert "s/q1" in queries
    assert grown(small(rounds=1, threshold=1.0), seed("soup"), repeating)[1] == {}


def test_a_short_shingle_compares_bags_of_words() -> None:
    def swapping(asked: str, _: int) -> str:
        if asked.startswith("think"):
            return f"About this I think a lot: {asked}"
        return "1. How long must a soup boil until it is done?\n2. How long must a stew boil until it is done?"

    assert grown(small(rounds=1, thoughts_per_question=0), seed("soup"), swapping)[1] == {}
    _, filtered = grown(small(rounds=1, thoughts_per_question=0, shingle=1), seed("soup"), swapping)
    assert filtered == {"s/q1": ("near_duplicate", "of s/q0")}


def test_what_is_filtered_is_not_extended() -> None:
    def stubborn(asked: str, _: int) -> str:
        return "So be it, says the cook." if asked.startswith("think") else "1. How is soup made well?"

    tools = Talking(stubborn)
    rows, filtered, _ = process(small(rounds=4), seed("soup"), tools)
    assert [row["id"] for row in rows] == ["s", "s/q0", "s/q0/t0"]
    assert [one.row["id"] for one in filtered] == ["s/q0/q0", "s/q0/t0/q0"]
    assert len(tools.requests) == 2 + 2, "rounds without parents ask nothing"


def test_queries_that_are_too_short_or_too_long_are_filtered() -> None:
    def uneven(asked: str, _: int) -> str:
        if asked.startswith("think"):
            return "It boils."
        return f"1. Why soup?\n2. How is soup made?\n3. How {'very ' * 20}good is soup?"

    _, filtered = grown(small(rounds=1, questions_per_seed=3, max_query_chars=60), seed("soup"), uneven)
    assert filtered == {
        "s/q0": ("too_short", "2 words; see --min-query-words"),
        "s/q1/t0": ("too_short", "2 words; see --min-query-words"),
        "s/q2": ("too_long", "117 characters; see --max-query-chars"),
    }


def test_thoughts_and_seeds_that_are_too_long_are_cut_after_a_sentence() -> None:
    tools = Talking(
        lambda asked, _: "A soup boils in a pot. " * 9 if asked.startswith("think") else "1. How is soup made?"
    )
    passage = "Soup is old. " * 9
    rows, _, _ = process(small(rounds=1, max_query_chars=50), seed(passage), tools)
    assert [row["text"] for row in rows] == [
        "Soup is old. Soup is old. Soup is old.",
        "How is soup made?",
        "A soup boils in a pot. A soup boils in a pot.",
    ]
    assert tools.tallies["shortened"] == 2
    assert tools.requests[0][0][0]["content"].endswith(passage.strip()), "the model reads all of it"  # type: ignore[index,union-attr]


def test_of_a_list_that_the_token_limit_cut_the_last_question_is_filtered() -> None:
    tools = Talking(lambda asked, _: "Soup boils in a pot. It is ho" if asked.startswith("think") else TWO)
    tools.cut = {TWO, "Soup boils in a pot. It is ho"}
    rows, (filtered,), _ = process(small(rounds=1), seed("soup"), tools)
    assert (filtered.row["id"], filtered.reason) == ("s/q1", "truncated")
    assert filtered.detail == "cut after 9 tokens; see --max-tokens"
    assert [row["text"] for row in rows[1:]] == ["How is soup made well?", "Soup boils in a pot."]


def test_more_questions_than_were_asked_for_are_left_out_and_counted() -> None:
    tools = Talking(lambda asked, _: attentive(asked, 0) + "\n3. How is soup sold today?\n4. And stew?")
    tools.cut = {
        attentive("2 questions of cooking from the phrase: soup", 0) + "\n3. How is soup sold today?\n4. And stew?"
    }
    rows, filtered, _ = process(small(rounds=1, thoughts_per_question=0), seed("soup"), tools)
    assert [row["id"] for row in rows] == ["s", "s/q0", "s/q1"]
    assert filtered == [], "what was cut is not among those that were asked for"
    assert tools.tallies["surplus_questions"] == 2


def test_a_reply_without_a_list_is_filtered_whole() -> None:
    def moody(asked: str, sample: int) -> str:
        return attentive(asked, sample) if "phrase" in asked or asked.startswith("think") else "I would rather not."

    _, filtered = grown(small(), seed("soup"), moody)
    assert filtered == {
        f"{parent}/q0": ("no_list", "the reply has no list of questions")
        for parent in ("s/q0", "s/q1", "s/q0/t0", "s/q1/t0")
    }


@pytest.mark.parametrize(
    ("row", "said", "reason", "detail"),
    [
        (seed(" \n"), TWO, "no_text", ""),
        (seed("soup", domain=" "), TWO, "no_domain", ""),
        (seed("soup", kind="poem"), TWO, "unknown_kind", "'poem' is none of category, question, phrase"),
        (seed("soup", kind="seed", round=0), TWO, "already_extended", ""),
        (seed("soup"), "No.", "no_list", "the reply has no list"),
        (seed("soup"), "1. Why?\n2. How?", "too_short", "1 word;"),
        (seed("soup is very good"), "1. Why?\n2. Soup is very good.", "nothing_kept", "1 too_short, 1 duplicate"),
    ],
)
def test_a_seed_that_gives_nothing_is_rejected_with_its_reason(row: Row, said: str, reason: str, detail: str) -> None:
    reject = rejection(small(), row, lambda _asked, _sample: said)
    assert reject.reason == reason
    assert detail in reject.detail


def test_a_prompt_that_is_too_long_costs_no_more_than_what_it_asked_for() -> None:
    class Narrow(Talking):
        async def generate(self, prompt: Any, *request: Any, **how: Any) -> Answer:
            if "in the end" in prompt[0]["content"]:
                raise Reject("prompt_too_long", "9 tokens into 8")
            return await super().generate(prompt, *request, **how)

    rows, filtered, _ = process(small(), seed("soup"), Narrow(attentive))
    assert {one.row["id"]: one.reason for one in filtered if one.row["round"] == 1} == {"s/q0/t0": "prompt_too_long"}
    assert "s/q0/q0" not in {row["id"] for row in rows}
    assert "s/q1/q1/t0" in {row["id"] for row in rows}
    _, _, reject = process(small(), seed("in the end"), Narrow(attentive))
    assert reject is not None
    assert reject.reason == "prompt_too_long"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"text": "Soups"}, "phrase"),
        ({"text": "Why soup?"}, "question"),
        ({"text": "为什么喝汤？"}, "question"),
        ({"text": "Soup is hot. " * 9}, "passage"),
        ({"text": "Soups", "kind": " Category "}, "category"),
        ({"text": "Soup is hot. " * 9, "kind": "phrase"}, "phrase"),
    ],
)
def test_what_a_seed_is_can_be_said_or_is_guessed(values: dict[str, Any], kind: str) -> None:
    tools = Talking(attentive)
    process(small(rounds=1), {**seed(""), **values}, tools)
    assert f"from the {kind}: " in tools.requests[0][0][0]["content"]  # type: ignore[index]


def test_seeds_in_writing_without_spaces_grow_as_others_do() -> None:
    def chinese(asked: str, _: int) -> str:
        if asked.startswith("think"):
            return "端口是一个数字，" * 20
        return "1、什么是网络的端口？\n2、为什么？\n3、什么是网络的端口?"

    queries, filtered = grown(
        small(rounds=1, questions_per_seed=3, max_query_chars=100), seed("网络", id="种子/①"), chinese
    )
    assert {query_id: query["text"] for query_id, query in queries.items()} == {
        "种子/①": "网络",
        "种子/①/q0": "什么是网络的端口？",
        "种子/①/q0/t0": ("端口是一个数字，" * 13)[:100],
    }
    assert filtered == {
        "种子/①/q1": ("too_short", "2 words; see --min-query-words"),
        "种子/①/q2": ("duplicate", "of 种子/①/q0"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompts_of_the_recipe_hold_what_is_asked_about(kind: str) -> None:
    system, user = Prompt.load("questions", FOLDER).render(domain="cooking", kind=kind, text="clear soups", n=7)
    assert "7 questions" in system["content"]  # type: ignore[index]
    for word in ("Field: cooking", "clear soups", "Write 7 questions"):
        assert word in user["content"]  # type: ignore[index]
    _, user = Prompt.load("thought", FOLDER).render(domain="cooking", question="Why soup?")
    assert user["content"] == "Field: cooking\nQuestion: Why soup?"  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"rounds": 0}, "--rounds 0"), ({"questions_per_seed": 0}, "--questions-per-seed 0"), ({"threshold": 0.0}, "0.0")],
)
def test_what_would_give_nothing_is_a_usage_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Bootstrap(**options)


def test_replies_that_say_nothing_are_filtered_by_name() -> None:
    tools = Talking(lambda asked, sample: "" if sample == 1 else attentive(asked, sample))
    rows, filtered, _ = process(small(rounds=1, samples=2, thoughts_per_question=2), seed("soup"), tools)
    assert {(one.row["id"], one.reason) for one in filtered} == {
        ("s/q2", "empty_answer"),
        ("s/q0/t1", "empty_answer"),
        ("s/q1/t1", "empty_answer"),
    }
    tools.cut = {""}
    _, filtered, _ = process(small(rounds=1, samples=2, thoughts_per_question=2), seed("soup"), tools)
    assert {one.reason for one in filtered} == {"truncated"}
    assert [row["id"] for row in rows] == ["s", "s/q0", "s/q1", "s/q0/t0", "s/q1/t0"]
