import json
from pathlib import Path
from typing import Any

import pytest
import xxhash

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.prompted.map import Map
from synth.pipelines.prompted.variation import Variation
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.pipelines.prompted.answering import answered
from tests.rows import rejected_of, rows_of, write_rows

ROWS = [{"id": f"r-{i}", "topic": topic, "of": i} for i, topic in enumerate(["bees", "bread"])]
PROMPT = Prompt("# system\nBe brief.\n# user\nWrite about {{ topic }}.", "write.md")
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "words": {"type": ["integer", "null"]},
        "parts": {"type": "array", "items": {"type": "string"}},
        "more": {},
    },
    "required": ["title"],
}


def test_the_reply_goes_to_a_column_beside_those_of_the_row(tmp_path: Path) -> None:
    _, model = answered(tmp_path, Map(PROMPT, into="text"), ROWS, lambda asked, _: f" re: {asked[1]['content']}\n")
    assert rows_of(tmp_path / "out") == [
        {**row, "text": f"re: Write about {row['topic']}.", "text_reasoning": None} for row in ROWS
    ]
    assert [message["role"] for message in model.requests[0].prompt] == ["system", "user"]


def test_several_replies_for_a_row_are_one_request_and_have_ids_of_their_own(tmp_path: Path) -> None:
    _, model = answered(tmp_path, Map(PROMPT, n=3), ROWS, lambda _, number: f"reply {number}")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == [f"r-{i}/map-{k}" for i in (0, 1) for k in (1, 2, 3)]
    assert len(model.requests) == 2


def test_a_variation_is_drawn_for_each_reply_and_stands_in_columns(tmp_path: Path) -> None:
    variation = Variation({"style": [("plain", 1.0), ("formal", 1.0), ("never", 0.0)], "length": [("short", 1.0)]})
    prompt = Prompt("# user\n{{ topic }}: {{ style }}, {{ length }}", "vary.md")
    stage = Map(prompt, n=20, vary=variation)
    answered(tmp_path, stage, ROWS, lambda asked, _: asked[0]["content"])
    found = rows_of(tmp_path / "out")
    assert all(row["response"] == f"{row['topic']}: {row['style']}, {row['length']}" for row in found)
    assert {row["style"] for row in found} == {"plain", "formal"}
    answered(tmp_path, stage, ROWS, lambda asked, _: asked[0]["content"])
    assert rows_of(tmp_path / "out") == found
    answered(tmp_path, stage, ROWS, lambda asked, _: asked[0]["content"], seed=1)
    assert [row["style"] for row in rows_of(tmp_path / "out")] != [row["style"] for row in found]


def test_the_properties_of_a_schema_become_columns(tmp_path: Path) -> None:
    reply = {"title": "Bees", "words": None, "parts": ["a", "b"], "more": {"x": [1]}}
    _, model = answered(tmp_path, Map(PROMPT, schema=Fields(SCHEMA)), ROWS[:1], lambda *_: f"Here: {json.dumps(reply)}")
    table = Dataset.open(tmp_path / "out").table
    assert table.select(list(SCHEMA["properties"])).to_pylist() == [{**reply, "more": '{"x": [1]}'}]
    assert [str(table.schema.field(name).type) for name in ("title", "words", "parts", "more")] == [
        "string",
        "int64",
        "list<item: string>",
        "string",
    ]
    assert model.requests[0].schema == SCHEMA


def test_replies_that_break_the_schema_are_asked_for_again_and_then_shown(tmp_path: Path) -> None:
    replies = ["I think", '{"title": 3}', '{"title": "ok"}']
    stage = Map(PROMPT, schema=Fields(SCHEMA), tries=3)
    summary, _ = answered(tmp_path, stage, ROWS, lambda asked, n: replies[n] if "bees" in asked[1]["content"] else "no")
    assert [row["title"] for row in rows_of(tmp_path / "out")] == ["ok"]
    assert summary.counts.reasons == {"unreadable": 1}
    (rejected,) = rejected_of(tmp_path / "out")
    assert (rejected["detail"], rejected["model_replies"]) == ("it is not JSON: no object in it", ["no"])
    answered(tmp_path, Map(PROMPT, schema=Fields(SCHEMA), tries=2), ROWS[:1], lambda _, n: replies[n])
    (rejected,) = rejected_of(tmp_path / "out")
    assert (rejected["reason"], rejected["detail"]) == ("wrong_fields", "title: 3 is not of type 'string'")
    assert rejected["model_replies"] == ['{"title": 3}']


class Fickle(EchoEngine):
    """Says nothing for about half of the samples; the others are told by their seeds."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[str, int]] = []

    async def answer(self, request: Request) -> Answer:
        places = range(request.seed, request.seed + request.n)
        self.drawn += [(str(request.prompt), place) for place in places]
        texts = ["" if xxhash.xxh3_64_intdigest(str(place).encode()) % 2 else f"reply {place}" for place in places]
        return Answer(tuple(Completion(text, "stop", 2) for text in texts), 5)


@pytest.mark.parametrize("vary", [None, Variation({"style": [("plain", 1.0), ("formal", 1.0)]})])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_the_draws_of_a_reply_stay_equal_when_more_are_asked_for(
    tmp_path: Path, vary: Variation | None, temperature: float, seed: int
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS)

    def made(folder: Path, n: int, tries: int) -> Fickle:
        engine = Fickle()
        stage = Map(PROMPT, n=n, vary=vary, temperature=temperature, tries=tries)
        Run(stage, [str(source)], folder / "out", Options(stale="update", seed=seed), engine=engine).execute()
        return engine

    before = made(tmp_path, 3, 2)
    there = {row["id"]: row for row in rows_of(tmp_path / "out")}
    more = made(tmp_path, 8, 3)
    assert not set(before.drawn) & set(more.drawn)
    now = {row["id"]: row for row in rows_of(tmp_path / "out")}
    assert {name: now[name] for name in there} == there
    whole = made(tmp_path / "at once", 8, 3)
    assert sorted(whole.drawn) == sorted(before.drawn + more.drawn)
    assert {row["id"]: row for row in rows_of(tmp_path / "at once" / "out")} == now


@pytest.mark.parametrize(
    ("words", "reason"), [("3.0", None), ("36893488147419103232", "wrong_fields"), ("3.5", "wrong_fields")]
)
def test_integers_are_stored_or_rejected(tmp_path: Path, words: str, reason: str | None) -> None:
    stage = Map(PROMPT, schema=Fields(SCHEMA), tries=1)
    summary, _ = answered(tmp_path, stage, ROWS[:1], lambda *_: f'{{"title": "x", "words": {words}}}')
    assert summary.counts.reasons == ({reason: 1} if reason else {})
    assert [row["words"] for row in rows_of(tmp_path / "out")] == ([] if reason else [3])


def test_a_reply_that_cannot_be_stored_is_rejected_and_fails_nothing(tmp_path: Path) -> None:
    stage = Map(PROMPT, schema=Fields(SCHEMA), tries=1)
    summary, _ = answered(tmp_path, stage, ROWS[:1], lambda *_: '{"title": "\\ud800"}')
    assert summary.counts.reasons == {"unreadable": 1}


def test_a_chat_is_continued_by_a_turn(tmp_path: Path) -> None:
    def chat(*texts: str) -> list[dict[str, str]]:
        return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]

    rows = [{"id": "a", "messages": chat("Hello?")}, {"id": "b", "messages": chat("Hello?", "Yes.")}]
    summary, _ = answered(tmp_path, Map(chat="messages"), rows, lambda asked, _: f"{len(asked)} turns")
    assert [row["messages"] for row in rows_of(tmp_path / "out")] == [chat("Hello?", "1 turns")]
    assert summary.counts.reasons == {"no_user_turn": 1}
    follow_up = Prompt("# system\nBe brief.\n# user\nAnd then?", "next.md")
    _, model = answered(tmp_path, Map(follow_up, chat="messages"), rows[1:], lambda asked, _: f"{len(asked)} turns")
    assert rows_of(tmp_path / "out")[0]["messages"] == chat("Hello?", "Yes.", "And then?", "4 turns")
    assert model.requests[0].prompt[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": Prompt("# user\n{{ topik }}", "mine.md")}, "mine.md names topik, and the input has no such column"),
        ({"prompt": PROMPT, "into": "topic"}, "the input has a column topic already"),
        ({"prompt": PROMPT, "vary": Variation({"of": [("x", 1.0)]})}, "the input has a column of already"),
        ({"chat": "messages"}, "--chat messages: the input has no such column"),
        ({}, "--prompt is missing"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        answered(tmp_path, Map(**options), ROWS, lambda *_: "never")
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected an object"),
        ('{"style": "plain"}', "style: expected a list of strings"),
        ('{"style": {"plain": -1}}', "weights must be numbers"),
        ("{", "cannot be read"),
    ],
)
def test_a_wrong_variation_file_is_a_usage_error(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "vary.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        Variation.load(str(tmp_path / "vary.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"type": "string"}', "expected a schema of an object"),
        ('{"properties": {"a": {"type": "text"}}}', "is not a JSON schema"),
        ("", "cannot be read"),
    ],
)
def test_a_wrong_schema_file_is_a_usage_error(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "schema.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        Fields.load(str(tmp_path / "schema.json"))
