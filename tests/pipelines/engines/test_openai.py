"""Faults of servers, and the exact requests."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from synth.pipelines.engines import EngineBusy, Message, Request, Sampling
from synth.pipelines.engines.openai import OpenAIEngine, Server
from synth.schemas.errors import EngineFailed
from tests.pipelines.engines.asking import CHAT, NEUTRAL, ask
from tests.pipelines.engines.scripted_server import Reply, Script, completion, scripted_server

BEGUN = (*CHAT, Message(role="assistant", content="Because"))


def test_a_chat_request_has_only_fields_of_the_protocol(script: Script) -> None:
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


def test_values_that_are_not_neutral_are_sent(script: Script) -> None:
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


def test_vllm_servers_get_neutral_values_too(script: Script) -> None:
    """Otherwise it would use those of the model's generation config."""
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


def test_missing_samples_are_requested_with_their_seeds_if_a_server_ignores_n(script: Script) -> None:
    script.replies = [Reply(completion("one")), Reply(completion("two")), Reply(completion("three"))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=3, seed=10))
    assert [c.text for c in answer.completions] == ["one", "two", "three"]
    assert [asked["seed"] for asked in script.asked] == [10, 11, 12]


def test_choices_are_sorted(script: Script) -> None:
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


def test_listed_tokens_are_counted(script: Script) -> None:
    script.replies = [Reply(completion("a", "b", token_ids=[1, 2, 3]))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=2))
    assert [c.tokens for c in answer.completions] == [3, 3]


@pytest.mark.parametrize(
    ("reply", "overloaded", "says"),
    [
        (Reply({"error": {"message": "slow down"}}, 429), True, "answers 429: slow down"),
        (Reply(b"<html>oops</html>", 500), False, "answers 500: <html>oops</html>"),
        (Reply({"error": {"message": "starting"}}, 503), True, "answers 503: starting"),
        (Reply(b'{"choices": [', hang_up=True), False, "does not answer: "),
        (Reply(b"not JSON at all"), False, "something that is not JSON: 'not JSON at all'"),
        (Reply(b"[" * 100_000), False, "something that is not JSON"),
        (Reply({"id": 7}), False, "not a completion: {'id': 7}"),
        (Reply(["a list"]), False, r"not a completion: \['a list'\]"),
        (Reply({"choices": [{"index": 0, "message": None, "finish_reason": "stop"}]}), False, "not a completion"),
        (Reply(b"garbage", headers={"Content-Encoding": "gzip"}), False, "does not answer: "),
    ],
    ids=["429", "500", "503", "hangs up", "garbage", "deep", "no answer", "a list", "no message", "not gzip"],
)
def test_a_temporary_fault_is_busy(script: Script, reply: Reply, overloaded: bool, says: str) -> None:
    script.replies = [reply]
    with pytest.raises(EngineBusy, match=says) as busy:
        ask(script, Request(CHAT, NEUTRAL))
    assert busy.value.retry_after is None
    assert busy.value.overloaded == overloaded
    assert len(script.asked) == 1


def test_a_server_that_went_away_is_busy() -> None:
    async def run() -> None:
        with scripted_server() as script:
            engine = OpenAIEngine(Server(script.url), "m")
            await engine.start()
        try:
            await engine.answer(Request(CHAT, NEUTRAL))
        finally:
            await engine.close()

    with pytest.raises(EngineBusy, match="does not answer") as busy:
        asyncio.run(run())
    assert busy.value.overloaded


def test_a_server_that_is_started_with_the_run_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]

    async def run(wait: float) -> None:
        engine = OpenAIEngine(Server(f"http://127.0.0.1:{port}/v1"), "m", wait=wait)
        starting = asyncio.create_task(engine.start())
        await asyncio.sleep(0.2)
        with scripted_server(port) as script:
            await starting
            script.replies = [Reply(completion("late"))]
            assert (await engine.answer(Request(CHAT, NEUTRAL))).completions
            await engine.close()

    with pytest.raises(EngineFailed, match="no LLM server answers"):
        asyncio.run(run(wait=0))
    asyncio.run(run(wait=60))


def test_the_error_of_a_slow_request_states_the_timeout(script: Script) -> None:
    script.respond = lambda _body: time.sleep(0.6) or Reply(completion("late"))
    with pytest.raises(EngineBusy, match=r"TimeoutError with a timeout of 0\.2 s") as busy:
        ask(script, Request(CHAT, NEUTRAL), timeout=0.2)
    assert not busy.value.overloaded


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

    for unreadable in ("soon", "nan", "inf", "Wed, 99 Foo 2026", ""):
        script.replies = [Reply(status=503, headers={"Retry-After": unreadable})]
        with pytest.raises(EngineBusy) as busy:
            ask(script, Request(CHAT, NEUTRAL))
        assert busy.value.retry_after is None


def test_concurrent_requests_are_limited(script: Script) -> None:
    script.respond = lambda _body: time.sleep(0.005) or Reply(completion("a"))
    answers = ask(script, *[Request(CHAT, NEUTRAL)] * 50, concurrency=2)
    assert len(answers) == 50
    assert script.most_under_way <= 2
