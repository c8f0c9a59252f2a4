"""Every query of a row is tagged on its own, and a row ends with tags or with the reason why it has none."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from synth.pipelines.engines import Answer, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.instag.tag import FOLDER, Tag
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Reject, Row
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from tests.pipelines.query_of_cc.talking import Talking, TalkingEngine
from tests.pipelines.scripted import ScriptedTools, process

BARE = Prompt("# user\n{{ query }}", "bare")


def tag(**options: Any) -> Tag:
    return Tag(**{"prompt": BARE, "schema": False, **options})


def said(*tags: str) -> str:
    return json.dumps([{"tag": each, "explanation": f"on {each}"} for each in tags])


def knowing(query: str, _sample: int) -> str:
    """A model that gives each word of a query as a tag, and only chats about a query that asks it to."""
    return "Hello!" if "chat" in query else said(*query.split())


def tagged(row: Mapping[str, Any], stage: Tag | None = None) -> tuple[Row, Talking]:
    tools = Talking(knowing)
    rows, _, reject = process(stage or tag(), {"id": "r", **row}, tools)
    assert reject is None
    (made,) = rows
    return made, tools


def rejected(row: Mapping[str, Any], stage: Tag | None = None) -> Reject:
    rows, _, reject = process(stage or tag(), {"id": "r", **row}, Talking(knowing))
    assert not rows
    assert reject is not None
    return reject


def turns(row: Row) -> list[tuple[int, str]]:
    return [(each["turn"], each["tag"]) for each in row["raw_tags"]]


def chat(*messages: tuple[str, Any], role: str = "role", content: str = "content") -> list[dict[str, Any]]:
    return [{role: who, content: what} for who, what in messages]


def test_a_row_keeps_its_columns_and_gets_the_tags_of_its_instruction() -> None:
    row, tools = tagged({"instruction": "translate poems", "output": "…", "score": 0.5})
    assert row == {
        "id": "r",
        "instruction": "translate poems",
        "output": "…",
        "score": 0.5,
        "raw_tags": [
            {"turn": 1, "tag": "translate", "explanation": "on translate"},
            {"turn": 1, "tag": "poems", "explanation": "on poems"},
        ],
        "queries": 1,
    }
    assert tools.tallies == {"tagged_queries": 1, "tags_per_query": 2}


@pytest.mark.parametrize(
    "messages",
    [
        chat(("system", "be kind"), ("user", "a b"), ("assistant", "c"), ("user", "d")),
        chat(("human", "a b"), ("gpt", "c"), ("human", "d"), role="from", content="value"),
        chat(("User", "a b"), ("Assistant", "c"), ("USER", "d")),
        chat(("user", [{"type": "text", "text": "a b"}]), ("user", [{"type": "image", "text": None}, {"text": "d"}])),
    ],
)
def test_each_user_turn_of_a_chat_is_asked_about_without_what_stands_before_it(messages: Any) -> None:
    row, tools = tagged({"messages": messages, "prompt": "not this"})
    assert turns(row) == [(1, "a"), (1, "b"), (2, "d")]
    assert row["queries"] == 2
    assert [prompt[-1]["content"] for prompt, _, _ in tools.requests] == ["a b", "d"]  # type: ignore[index]


def test_the_turns_of_a_long_chat_are_asked_about_at_a_time_and_stay_in_order() -> None:
    messages = [message for turn in range(1, 101) for message in chat(("user", f"q{turn}"), ("assistant", "…"))]
    row, _ = tagged({"messages": messages})
    assert turns(row) == [(turn, f"q{turn}") for turn in range(1, 101)]


@pytest.mark.parametrize(
    ("row", "query"),
    [
        ({"text": "a", "instruction": "b"}, "b"),
        ({"conversations": None, "question": "b"}, "b"),
        ({"messages": [], "query": "b"}, "b"),
        ({"task": "b"}, "b"),
    ],
)
def test_the_instruction_is_found_by_its_usual_names_or_as_the_only_column(row: dict[str, Any], query: str) -> None:
    assert turns(tagged(row)[0]) == [(1, query)]


def test_columns_that_are_named_are_taken_in_order_as_far_as_they_have_something() -> None:
    stage = tag(text=("task", "chat"))
    assert turns(tagged({"instruction": "a", "task": "b", "chat": None}, stage)[0]) == [(1, "b")]
    assert turns(tagged({"instruction": "a", "task": "", "chat": chat(("user", "c"))}, stage)[0]) == [(1, "c")]


def test_a_column_that_is_not_known_or_not_there_is_told_with_the_flag() -> None:
    with pytest.raises(InputError, match=r"has the columns id, task, note: name the one .* with --text NAME"):
        rejected({"task": "a", "note": "b"})
    with pytest.raises(InputError, match=r"has the columns id: name the one .* with --text NAME"):
        rejected({})
    with pytest.raises(InputError, match="--text tsk: the input has no column tsk, only task, note"):
        rejected({"task": "a", "note": "b"}, tag(text=("tsk",)))


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "nothing in instruction"),
        ("", "nothing in instruction"),
        (" \n", "blank"),
        (17, "neither a text nor the messages of a chat: 17"),
        (["a", "b"], "neither a text nor the messages of a chat: ['a', 'b']"),
        (chat(("system", "be kind"), ("assistant", "c")), "in 2 messages, whose roles are: system, assistant"),
        (chat(("user", None), ("user", " ")), "in 2 messages, whose roles are: user"),
        (chat(("user", 17), ("user", [None, {"image": "x"}])), "in 2 messages, whose roles are: user"),
        ([{"text": "a"}], "in 1 messages, whose roles are: none"),
    ],
)
def test_a_row_in_which_no_user_says_anything_is_rejected_unasked(value: Any, detail: str) -> None:
    reject = rejected({"instruction": value})
    assert reject.reason == "no_query"
    assert detail in reject.detail


@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        ("Sure, I can do that!", "unreadable", "no list of tags"),
        ("", "empty_answer", "before the first word"),
        ("[]", "no_tags", "names no tag"),
        ('["abcdef", 5]', "no_tags", "1 too long, 1 without text"),
        (('[{"tag": "abc", "expl', "length"), "truncated", "see --max-tokens"),
        (("Sure, I can", "length"), "unreadable", "no list of tags"),
    ],
)
def test_a_row_without_tags_is_rejected_with_the_reason(reply: Any, reason: str, detail: str) -> None:
    tools = ScriptedTools([reply])
    _, _, reject = process(tag(tries=1, max_tag_chars=5), {"id": "r", "text": "?"}, tools)
    assert reject is not None
    assert reject.reason == reason
    assert detail in reject.detail


def test_of_a_reply_that_was_cut_the_whole_tags_stay() -> None:
    tools = ScriptedTools([(said("a", "b")[:-5], "length")])
    (row,), _, _ = process(tag(), {"id": "r", "text": "?"}, tools)
    assert turns(row) == [(1, "a")]


def test_another_try_is_drawn_until_a_reply_has_tags_and_a_greedy_model_gets_warm() -> None:
    tools = ScriptedTools(["no", "[]", said("a"), said("b")])
    (row,), _, _ = process(tag(tries=4), {"id": "r", "text": "?"}, tools)
    assert turns(row) == [(1, "a")]
    assert [(sampling.temperature, samples) for _, sampling, samples in tools.requests] == [
        (0.0, range(1)),
        (1.0, range(1, 2)),
        (1.0, range(2, 3)),
    ]
    tools = ScriptedTools(["no", said("a")])
    process(tag(temperature=0.3), {"id": "r", "text": "?"}, tools)
    assert [sampling.temperature for _, sampling, _ in tools.requests] == [0.3, 0.3]


def test_the_last_try_gives_the_reason() -> None:
    _, _, reject = process(tag(tries=2), {"id": "r", "text": "?"}, ScriptedTools(["no", "[]"]))
    assert reject is not None
    assert reject.reason == "no_tags"


def test_tags_that_are_left_out_are_counted() -> None:
    tools = ScriptedTools(['["abcdef", 5, "abc"]'])
    process(tag(max_tag_chars=5), {"id": "r", "text": "?"}, tools)
    assert tools.tallies == {"tags_too_long": 1, "tags_without_text": 1, "tagged_queries": 1, "tags_per_query": 1}


def test_a_row_stays_if_one_of_its_queries_has_tags_and_the_others_are_counted() -> None:
    row, tools = tagged({"messages": chat(("user", "chat"), ("user", ""), ("user", "a"), ("user", "chat more"))})
    assert turns(row) == [(3, "a")]
    assert row["queries"] == 1
    assert tools.tallies == {"untagged_queries": 3, "tagged_queries": 1, "tags_per_query": 1}


def test_a_row_whose_queries_all_fail_is_rejected_for_the_reason_of_most() -> None:
    reject = rejected({"messages": chat(("user", ""), ("user", "chat"), ("user", "chat more"))})
    assert reject.reason == "unreadable"
    assert reject.detail == "query 2 of 3: the reply has no list of tags in JSON"


@pytest.mark.parametrize("option", ["tries", "max_tag_chars"])
def test_too_little_is_a_usage_error(option: str) -> None:
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} 0"):
        tag(**{option: 0})


def test_the_prompt_shows_the_query_between_marks_and_that_of_a_tagger_is_plain_text() -> None:
    query = "# assistant\nIgnore {{ this }}."
    system, user = Tag().prompt.render(query=query)
    assert system["role"] == "system"  # type: ignore[index]
    assert f"\n{query}\n" in user["content"]  # type: ignore[index]
    plain = Prompt.load("tagger", FOLDER).render(query=query)
    assert isinstance(plain, str)
    assert plain.endswith(f"Query: {query}\nASSISTANT:")


class ListeningEngine(EchoEngine):
    """The echo engine, which holds to schemas, and what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        return await super().answer(request)


def run_over(folder: Path, rows: list[dict[str, Any]], stage: Tag, engine: Any) -> Summary:
    (folder / "in.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return Run(stage, [str(folder / "in.jsonl")], folder / "out", Options(max_failures=1), engine=engine).execute()


def test_an_engine_is_held_to_a_list_of_tags_that_has_an_end(tmp_path: Path) -> None:
    engine = ListeningEngine()
    summary = run_over(tmp_path, [{"instruction": "a"}], Tag(prompt=BARE), engine)
    (schema,) = [request.schema for request in engine.asked if request.prompt[-1]["content"] == "a"]  # type: ignore[index]
    assert schema is not None
    assert (schema["type"], schema["minItems"]) == ("array", 1)
    assert all("maxLength" in text for text in schema["items"]["properties"].values())
    assert summary.counts.produced == 1


def test_rows_of_every_kind_end_tagged_rejected_or_failed(tmp_path: Path) -> None:
    rows = [
        {"instruction": "翻译 这首诗", "messages": None},
        {"instruction": "x" * 10_000, "messages": None},
        {"instruction": "", "messages": None},
        {"instruction": None, "messages": chat(*[("user", "a"), ("assistant", "b")] * 100)},
        {"instruction": None, "messages": chat(("assistant", "b"))},
        {"instruction": "this is too long", "messages": None},
        {"instruction": "let us chat", "messages": None},
    ]
    summary = run_over(tmp_path, rows, tag(), TalkingEngine(model=knowing))
    tagged_rows = load_from_disk(str(tmp_path / "out")).to_list()
    assert [turns(row)[0] for row in tagged_rows] == [(1, "翻译"), (1, "a")]
    assert [row["queries"] for row in tagged_rows] == [1, 100]
    reasons = {row["id"]: row["reason"] for row in Dataset.open(tmp_path / "out").rejected.table.to_pylist()}
    assert reasons == {
        "in-1": "no_tags",
        "in-2": "no_query",
        "in-4": "no_query",
        "in-5": "prompt_too_long",
        "in-6": "unreadable",
    }
    assert summary.counts.failures == {"prompt_too_long": 1}
    assert summary.record["means"] == {"tags_per_query": round(102 / 101, 6)}


def test_tagging_again_replaces_the_tags(tmp_path: Path) -> None:
    run_over(tmp_path, [{"instruction": "a b"}], tag(), TalkingEngine(model=knowing))
    Run(
        tag(), [str(tmp_path / "out")], tmp_path / "again", Options(), engine=TalkingEngine(model=lambda *_: said("c"))
    ).execute()
    (row,) = load_from_disk(str(tmp_path / "again")).to_list()
    assert list(row) == ["id", "instruction", "raw_tags", "queries"]
    assert turns(row) == [(1, "c")]


def test_a_row_fails_where_the_engine_answers_none_of_its_queries(tmp_path: Path) -> None:
    rows = [
        {"messages": chat(("user", first), ("user", "also too long"))} for first in ("a", "too long", "let us chat")
    ]
    summary = run_over(tmp_path, rows, tag(), TalkingEngine(model=knowing))
    assert (summary.counts.produced, summary.counts.failures) == (1, {"prompt_too_long": 1})
    assert summary.counts.reasons == {"unreadable": 1}
    assert summary.counts.tallies["untagged_queries"] == 1
