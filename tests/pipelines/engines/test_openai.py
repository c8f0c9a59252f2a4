"""What only a server can do wrong, and what exactly it is asked."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from pipelines.engines import Answer, EngineBusy, Message, PromptTooLong, Request, Sampling
from pipelines.engines.openai import OpenAIEngine
from pipelines.engines.probe import prove_constrained
from schemas.errors import EngineFailed, UsageError
from tests.pipelines.engines.scripted_server import Reply, Script, completion, scripted_server

CHAT = (Message(role="user", content="Why?"),)
BEGUN = (*CHAT, Message(role="assistant", content="Because"))
NEUTRAL = Sampling(max_tokens=9)


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def ask(script: Script, *requests: Request, model: str = "m", **options: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        engine = OpenAIEngine(script.url, model, **options)
        try:
            await engine.start()
            return await asyncio.gather(*map(engine.generate, requests))
        finally:
            await engine.close()

    return asyncio.run(run())


def test_a_chat_asks_for_no_more_than_the_protocol_knows(script: Script) -> None:
    script.replies = [Reply(completion("Because."))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, seed=3))
    assert (answer.text, answer.prompt_tokens) == ("Because.", 5)
    assert script.paths == ["/v1/chat/completions"]
    assert script.asked == [
        {"model": "m", "messages": list(CHAT), "seed": 3, "temperature": 1.0, "top_p": 1.0, "max_tokens": 9}
    ]


def test_raw_text_goes_to_completions(script: Script) -> None:
    choice = {"index": 0, "text": " upon a time", "finish_reason": "length"}
    script.replies = [Reply({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 3}})]
    (answer,) = ask(script, Request("Once", NEUTRAL))
    assert script.paths == ["/v1/completions"]
    assert script.asked[0]["prompt"] == "Once"
    assert (answer.text, answer.completions[0].finish_reason, answer.completions[0].tokens) == (
        " upon a time",
        "length",
        3,
    )


def test_what_is_not_neutral_is_sent(script: Script) -> None:
    script.replies = [Reply(completion("a", "b"))]
    schema = {"type": "object"}
    sampling = Sampling(0.5, 0.9, 20, 1.1, 7, ("\n\n", "END"))
    ask(script, Request(BEGUN, sampling, n=2, schema=schema))
    (asked,) = script.asked
    assert asked["n"] == 2
    assert asked["stop"] == ["\n\n", "END"]
    assert (asked["top_k"], asked["repetition_penalty"]) == (20, 1.1)
    assert asked["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)


def test_a_vllm_server_is_told_the_neutral_values_too(script: Script) -> None:
    """It would take those of the model's generation config instead."""
    script.models = Reply({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 8}]})
    script.replies = [Reply(completion("a"))]
    ask(script, Request(CHAT, NEUTRAL))
    asked = script.asked[0]
    assert (asked["top_k"], asked["repetition_penalty"], asked["min_p"]) == (0, 1.0, 0)
    assert asked["max_tokens"] == 8


def test_the_key_comes_from_the_environment(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    script.replies = [Reply(completion("a"))]
    ask(script, Request(CHAT, NEUTRAL))
    assert script.headers[0]["Authorization"] == "Bearer secret"


def test_a_server_that_ignores_n_is_asked_for_the_rest_with_their_seeds(script: Script) -> None:
    script.replies = [Reply(completion("one")), Reply(completion("two")), Reply(completion("three"))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=3, seed=10))
    assert [c.text for c in answer.completions] == ["one", "two", "three"]
    assert [asked["seed"] for asked in script.asked] == [10, 11, 12]


def test_choices_are_put_in_order(script: Script) -> None:
    body = completion("first", "second")
    body["choices"].reverse()
    script.replies = [Reply(body)]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=2))
    assert [c.text for c in answer.completions] == ["first", "second"]


def test_a_total_of_tokens_is_split_so_that_the_sum_is_right(script: Script) -> None:
    script.replies = [Reply(completion("a", "a longer text", ""))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=3))
    tokens = [c.tokens for c in answer.completions]
    assert sum(tokens) == 10
    assert tokens[1] > tokens[0]


def test_tokens_are_counted_where_they_are_listed(script: Script) -> None:
    script.replies = [Reply(completion("a", "b", token_ids=[1, 2, 3]))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=2))
    assert [c.tokens for c in answer.completions] == [3, 3]


def test_what_a_filter_ended_is_not_called_complete(script: Script) -> None:
    body = completion("I")
    body["choices"][0]["finish_reason"] = "content_filter"
    script.replies = [Reply(body)]
    (answer,) = ask(script, Request(CHAT, NEUTRAL))
    assert answer.completions[0].finish_reason == "length"


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": {"message": "slow down"}}, 429),
        Reply(b"<html>oops</html>", 500),
        Reply({"error": {"message": "starting"}}, 503),
        Reply(b'{"choices": [', hang_up=True),
        Reply(b"not JSON at all"),
        Reply({"choices": []}),
        Reply({"id": 7}),
        Reply(["a list"]),
        Reply({"choices": [{"index": 0, "message": None, "finish_reason": "stop"}]}),
    ],
    ids=["429", "500", "503", "hangs up", "garbage", "no choices", "no answer", "a list", "no message"],
)
def test_a_passing_fault_is_busy(script: Script, reply: Reply) -> None:
    script.replies = [reply]
    with pytest.raises(EngineBusy) as busy:
        ask(script, Request(CHAT, NEUTRAL))
    assert busy.value.retry_after is None


def test_a_server_that_went_away_is_busy() -> None:
    async def run() -> None:
        with scripted_server() as script:
            engine = OpenAIEngine(script.url, "m")
            await engine.start()
        try:
            await engine.generate(Request(CHAT, NEUTRAL))
        finally:
            await engine.close()

    with pytest.raises(EngineBusy, match="does not answer"):
        asyncio.run(run())


def test_retry_after_is_honoured_as_seconds_and_as_a_date(script: Script) -> None:
    script.replies = [Reply(status=429, headers={"Retry-After": "2.5"})]
    with pytest.raises(EngineBusy) as busy:
        ask(script, Request(CHAT, NEUTRAL))
    assert busy.value.retry_after == 2.5

    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    script.replies = [Reply(status=503, headers={"Retry-After": date})]
    with pytest.raises(EngineBusy) as busy:
        ask(script, Request(CHAT, NEUTRAL))
    assert busy.value.retry_after == pytest.approx(3600, abs=60)

    script.replies = [Reply(status=503, headers={"Retry-After": "soon"})]
    with pytest.raises(EngineBusy) as busy:
        ask(script, Request(CHAT, NEUTRAL))
    assert busy.value.retry_after is None


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 512 tokens. However, your prompt has 600.",
        "The decoder prompt (length 600) is longer than the maximum model length of 512.",
        "the request exceeds the available context size",
    ],
)
def test_a_refusal_about_the_context_is_a_prompt_that_is_too_long(script: Script, message: str) -> None:
    script.replies = [Reply({"error": {"message": message}}, 400)]
    with pytest.raises(PromptTooLong, match=re.escape(message)):
        ask(script, Request(CHAT, NEUTRAL))


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_any_other_refusal_ends_the_run_with_the_words_of_the_server(script: Script, status: int) -> None:
    script.replies = [Reply({"error": {"message": "top_k is not known here"}}, status)]
    with pytest.raises(EngineFailed, match=f"answers {status}: top_k is not known here"):
        ask(script, Request(CHAT, NEUTRAL))


def test_no_more_requests_than_asked_for_are_under_way(script: Script) -> None:
    script.replies = [Reply(completion("a"))]
    answers = ask(script, *[Request(CHAT, NEUTRAL)] * 50, concurrency=2)
    assert len(answers) == 50
    assert script.most_under_way <= 2


def test_a_model_that_is_not_served_is_told_with_those_that_are(script: Script) -> None:
    script.models = Reply({"data": [{"id": "llama"}, {"id": "qwen"}]})
    with pytest.raises(UsageError, match=r"--model m is not served at .*: it serves llama, qwen"):
        ask(script, model="m")


def test_a_server_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(EngineFailed, match=r"no LLM server answers at http://127\.0\.0\.1:9/v1/models"):
        asyncio.run(OpenAIEngine("http://127.0.0.1:9/v1", "m").start())


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(status=404), "404 .*usually ends in /v1"),
        (Reply(status=401), "401 .*OPENAI_API_KEY"),
        (Reply(b"<html>"), "list of models"),
        (Reply({"models": []}), "list of models"),
    ],
)
def test_a_server_that_is_no_llm_server_is_named(script: Script, reply: Reply, says: str) -> None:
    script.models = reply
    with pytest.raises(EngineFailed, match=says):
        ask(script)


def test_a_server_that_ignores_schemas_is_found_out(script: Script) -> None:
    async def run() -> None:
        engine = OpenAIEngine(script.url, "m")
        await engine.start()
        try:
            await prove_constrained(engine.generate)
        finally:
            await engine.close()

    script.replies = [Reply(completion("The sky scatters blue light. It is pretty."))]
    with pytest.raises(EngineFailed, match="does not hold to JSON schemas"):
        asyncio.run(run())
    # One that mistakes one schema for another is no better.
    script.replies = [Reply(completion('{"word": "heron"}'))]
    with pytest.raises(EngineFailed, match="allowed the word quartz alone"):
        asyncio.run(run())
