"""Several servers as one engine: who gets a request, who rests, and what becomes of a request that fails."""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest

from synth.pipelines.engines import Answer, EngineBusy, PromptRefused, Request
from synth.pipelines.engines.openai import OpenAIEngine, Server, replicas
from synth.pipelines.engines.openai.replicas import Replicas
from synth.pipelines.engines.registry import open_engine
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.engines.asking import CHAT, NEUTRAL
from tests.pipelines.engines.scripted_server import Reply, Script, completion, scripted_server

QUESTION = Request(CHAT, NEUTRAL)
FINE = Reply(completion("fine"))
OVERLOADED = Reply({"error": {"message": "slow down"}}, 503)
BROKEN = Reply({"error": {"message": "oops"}}, 500)


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTH_MODEL", raising=False)


@pytest.fixture
def one() -> Iterator[Script]:
    with scripted_server() as script:
        script.replies = [FINE]
        yield script


@pytest.fixture
def two() -> Iterator[Script]:
    with scripted_server() as script:
        script.replies = [FINE]
        yield script


@pytest.fixture
def closed() -> str:
    """The address of a server that has ended."""
    with scripted_server() as script:
        return script.url


def engine_of(*addresses: str, **options: Any) -> Replicas:
    return Replicas([OpenAIEngine(Server(address), "m", **options) for address in addresses])


def with_replicas(run: Callable[[Replicas], Coroutine[Any, Any, Any]], *addresses: str, **options: Any) -> Any:
    async def started() -> Any:
        engine = engine_of(*addresses, **options)
        try:
            await engine.start()
            return await run(engine)
        finally:
            await engine.close()

    return asyncio.run(started())


def together(*addresses: str, requests: int, **options: Any) -> list[Answer | BaseException]:
    """The answers to concurrent requests, or their errors."""

    async def run(engine: Replicas) -> Any:
        return await asyncio.gather(*(engine.answer(QUESTION) for _ in range(requests)), return_exceptions=True)

    found: list[Answer | BaseException] = with_replicas(run, *addresses, **options)
    return found


def one_by_one(*addresses: str, requests: int, **options: Any) -> list[Answer | BaseException]:
    async def run(engine: Replicas) -> Any:
        asked = range(requests)
        return [(await asyncio.gather(engine.answer(QUESTION), return_exceptions=True))[0] for _ in asked]

    found: list[Answer | BaseException] = with_replicas(run, *addresses, **options)
    return found


def are_answers(outcomes: list[Answer | BaseException]) -> bool:
    return all(isinstance(outcome, Answer) for outcome in outcomes)


def port_of(address: str) -> int:
    return urlsplit(address).port or 0


def test_a_server_gets_a_request_as_soon_as_it_has_a_free_slot(one: Script, two: Script) -> None:
    others_are_answered = Event()

    def quick(_body: dict[str, Any]) -> Reply:
        if len(one.asked) >= 18:
            others_are_answered.set()
        return FINE

    def slow(_body: dict[str, Any]) -> Reply:
        others_are_answered.wait(60)
        return FINE

    one.respond, two.respond = quick, slow
    assert are_answers(together(one.url, two.url, requests=20, concurrency=2))
    assert (len(one.asked), len(two.asked)) == (18, 2)


def test_servers_without_work_get_equal_shares(one: Script, two: Script) -> None:
    assert are_answers(together(one.url, two.url, requests=6))
    assert (len(one.asked), len(two.asked)) == (3, 3)


@pytest.mark.parametrize(
    "fault",
    [OVERLOADED, BROKEN, Reply(b"not JSON"), Reply(b'{"choices": [', hang_up=True), Reply(status=429)],
    ids=["503", "500", "garbage", "hangs up", "429"],
)
def test_a_request_that_fails_at_one_server_is_answered_by_another(one: Script, two: Script, fault: Reply) -> None:
    one.replies = [fault]
    assert are_answers(one_by_one(one.url, two.url, requests=5))
    assert len(two.asked) == 5
    assert len(one.asked) < 5


def test_a_server_that_is_too_slow_rests(one: Script, two: Script) -> None:
    ended = Event()
    one.respond = lambda _body: FINE if ended.wait(60) else BROKEN
    try:
        assert are_answers(one_by_one(one.url, two.url, requests=5, timeout=0.3))
    finally:
        ended.set()
    assert (len(one.asked), len(two.asked)) == (1, 5)


def test_retry_after_is_how_long_a_server_rests(one: Script, two: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "FIRST_REST", 0.0)
    monkeypatch.setattr(replicas, "LONGEST_REST", 0.0)
    one.replies = [Reply(status=503, headers={"Retry-After": "60"}), FINE]
    assert are_answers(one_by_one(one.url, two.url, requests=9))
    assert (len(one.asked), len(two.asked)) == (1, 9)


def test_a_server_that_has_rested_shows_that_it_answers_before_it_gets_more(
    one: Script, two: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "FIRST_REST", 0.0)
    others_are_answered = Event()

    def overloaded_at_first(_body: dict[str, Any]) -> Reply:
        if len(one.asked) == 1:
            return OVERLOADED
        others_are_answered.wait(60)
        return FINE

    def quick(_body: dict[str, Any]) -> Reply:
        if len(two.asked) >= 29:
            others_are_answered.set()
        return FINE

    one.respond, two.respond = overloaded_at_first, quick

    async def run(engine: Replicas) -> Any:
        return [await engine.answer(QUESTION), *await asyncio.gather(*(engine.answer(QUESTION) for _ in range(29)))]

    assert are_answers(with_replicas(run, one.url, two.url, concurrency=4))
    assert (len(one.asked), len(two.asked)) == (2, 29)


def test_a_server_that_ends_and_comes_back_is_used_again(
    one: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replicas, "TOLD_REST", 0.0)
    monkeypatch.setattr(replicas, "LONGEST_REST", 0.05)
    monkeypatch.setattr(replicas, "FIRST_REST", 0.05)

    async def run(engine: Replicas) -> int:
        ending.close()
        for _ in range(10):
            await engine.answer(QUESTION)
        answered = len(one.asked)
        with scripted_server(port_of(address)) as back:
            back.replies = [FINE]
            while not back.asked:
                await engine.answer(QUESTION)
        return answered

    ending = ExitStack()
    address = ending.enter_context(scripted_server()).url
    with caplog.at_level(logging.WARNING, "synth"):
        assert with_replicas(run, address, one.url) == 10
    lost, found = caplog.messages
    assert lost.startswith(f"{address} does not answer, and the other servers take its requests: ")
    assert found == f"{address} answers again"


def test_a_server_that_does_not_answer_at_the_start_is_told_once_and_used_when_it_does(
    one: Script, closed: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replicas, "LONGEST_REST", 0.05)
    monkeypatch.setattr(replicas, "FIRST_REST", 0.05)
    monkeypatch.setattr(replicas, "TOLD_REST", 0.05)

    async def run(engine: Replicas) -> None:
        for _ in range(3):
            await asyncio.sleep(0.06)
            await engine.answer(QUESTION)
        with scripted_server(port_of(closed)) as back:
            back.models = Reply({"data": [{"id": "m", "owned_by": "vllm"}]})
            back.replies = [FINE]
            while not back.asked:
                await engine.answer(QUESTION)
            # Fields are chosen for each server.
            assert back.asked[0]["min_p"] == 0
            assert "min_p" not in one.asked[0]

    with caplog.at_level(logging.WARNING, "synth"):
        with_replicas(run, closed, one.url)
    lost, found = caplog.messages
    assert lost.startswith(f"the run goes on without {closed} until it answers: no LLM server answers at {closed}")
    assert found == f"{closed} answers again"


def test_if_no_server_answers_at_the_start_all_are_named(one: Script, closed: str) -> None:
    other = "http://127.0.0.1:9/v1"
    for model in ("m", None):
        with pytest.raises(EngineFailed) as failure:
            asyncio.run(open_engine("openai", model, (closed, other), {}).start())
        form = rf"no LLM server answers at {closed}/models \(.*\) and {other}/models \(.*\); start one of them .*"
        assert re.fullmatch(form, str(failure.value))
    one.models = Reply(status=401)
    with pytest.raises(
        EngineFailed, match=f"no LLM server answers at {closed}/models .*; {one.url}/models answers 401"
    ):
        together(closed, one.url, requests=1)


def test_the_model_is_that_of_the_first_server_that_answers(one: Script, closed: str) -> None:
    assert open_engine("openai", None, (closed, one.url), {}).identity()["model"] == "m"


def test_deployments_of_different_names_may_be_different_models() -> None:
    at = "https://x.openai.azure.com/openai/deployments"
    with pytest.raises(UsageError, match=r"choose a --model: .* behind the deployments heron and egret"):
        open_engine("openai", None, (f"{at}/heron", f"{at}/egret"), {})
    assert open_engine("openai", "bird", (f"{at}/heron", f"{at}/egret"), {}).identity()["model"] == "bird"


def test_a_server_with_another_model_is_named(one: Script, two: Script) -> None:
    two.models = Reply({"data": [{"id": "heron"}]})
    with pytest.raises(UsageError, match=f"--model m is not served at {two.url}: it serves heron"):
        together(one.url, two.url, requests=1)


def test_a_server_that_comes_up_with_another_model_is_not_used(
    one: Script, closed: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replicas, "FIRST_REST", 0.0)

    async def run(engine: Replicas) -> None:
        with scripted_server(port_of(closed)) as back:
            back.models = Reply({"data": [{"id": "heron"}]})
            back.replies = [FINE]
            while len(caplog.messages) < 2:
                await engine.answer(QUESTION)
            assert not back.asked

    with caplog.at_level(logging.WARNING, "synth"):
        with_replicas(run, closed, one.url)
    assert caplog.messages[1] == f"{closed} is no longer used: --model m is not served at {closed}: it serves heron"


def test_if_all_servers_rest_the_caller_learns_for_how_long_and_why(one: Script, two: Script) -> None:
    one.replies = [Reply({"error": "busy"}, 503, {"Retry-After": "60"})]
    two.replies = [Reply({"error": "full"}, 429, {"Retry-After": "20"})]
    first, *others = one_by_one(one.url, two.url, requests=3)
    assert isinstance(first, EngineBusy)
    for busy in others:
        assert isinstance(busy, EngineBusy)
        assert busy.overloaded
        assert 15 < (busy.retry_after or 0) <= 20
        assert f"{one.url} answers 503: busy; {two.url} answers 429: full" in str(busy)
    assert (len(one.asked), len(two.asked)) == (1, 1)


def test_requests_that_wait_for_a_slot_learn_that_all_servers_rest(one: Script, two: Script) -> None:
    one.replies = two.replies = [OVERLOADED]
    outcomes = together(one.url, two.url, requests=20, concurrency=1)
    assert all(isinstance(outcome, EngineBusy) for outcome in outcomes)
    assert len(one.asked) + len(two.asked) <= 4


def test_a_request_that_fails_everywhere_keeps_no_other_from_being_answered(one: Script, two: Script) -> None:
    one.replies, two.replies = [BROKEN, FINE], [BROKEN, FINE]
    bad, good = one_by_one(one.url, two.url, requests=2)
    assert isinstance(bad, EngineBusy)
    assert not bad.overloaded
    assert isinstance(good, Answer)


def test_a_server_that_would_end_a_run_is_no_longer_used(
    one: Script, two: Script, caplog: pytest.LogCaptureFixture
) -> None:
    one.replies = [Reply({"error": {"message": "no such key"}}, 401)]
    with caplog.at_level(logging.WARNING, "synth"):
        assert are_answers(together(one.url, two.url, requests=20))
    (message,) = caplog.messages
    assert message.startswith(f"{one.url} is no longer used: {one.url} answers 401: no such key")


def test_the_last_server_that_fails_ends_the_run(one: Script, two: Script) -> None:
    one.replies = two.replies = [Reply({"error": {"message": "no such key"}}, 401)]
    for failure in one_by_one(one.url, two.url, requests=2):
        assert isinstance(failure, EngineFailed)
        assert "no such key" in str(failure)


def test_a_server_that_has_answered_nothing_is_not_believed_when_it_refuses_a_prompt(one: Script, two: Script) -> None:
    one.replies = [Reply({"error": {"message": "no chat template"}}, 400)]
    assert are_answers(together(one.url, two.url, requests=20, concurrency=2))


def test_a_server_that_has_answered_is_believed(one: Script, two: Script) -> None:
    flagged = Reply({"error": {"message": "flagged"}}, 400)
    one.replies = two.replies = [FINE, flagged]
    *_, refused = one_by_one(one.url, two.url, requests=3)
    assert isinstance(refused, PromptRefused)
    assert len(one.asked) + len(two.asked) == 3


def test_a_request_that_is_given_up_as_it_gets_a_slot_gives_it_back(one: Script, two: Script) -> None:
    both_are_busy, ended = Event(), Event()

    def respond(_body: dict[str, Any]) -> Reply:
        if one.asked and two.asked:
            both_are_busy.set()
        ended.wait(60)
        return FINE

    one.respond = two.respond = respond

    async def run(engine: Replicas) -> Any:
        first, second, *waiting = [asyncio.create_task(engine.answer(QUESTION)) for _ in range(5)]
        await asyncio.to_thread(both_are_busy.wait, 60)
        for at_work, next_one in ((first, waiting[0]), (second, waiting[1])):
            at_work.cancel()
            await asyncio.sleep(0)
            next_one.cancel()
        ended.set()
        return [await asyncio.wait_for(waiting[2], 60)]

    assert are_answers(with_replicas(run, one.url, two.url, concurrency=1))


def test_servers_are_named_while_they_are_reached_and_are_no_part_of_the_identity() -> None:
    several = engine_of("http://a/v1", "http://b/v1")
    assert several.starting == "reaching http://a/v1 and http://b/v1"
    assert several.identity() == OpenAIEngine(Server("http://c/v1"), "m").identity()
