"""A request that fails is told from an engine that fails: the engine is at fault only when it answers nobody."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from synth.pipelines.engines import (
    Answer,
    EngineBusy,
    Message,
    PromptRefused,
    Request,
    RequestFailed,
    Sampling,
    Windows,
)
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.shared import NEUTRAL, SharedEngine
from synth.pipelines.runtime.spending import Spending
from synth.schemas.errors import EngineFailed, UsageError

GOOD, BAD = "a good question", "a bad question"


class Choosy(EchoEngine):
    """It answers all prompts but those for which `fault` gives an exception; `asked` counts prompts."""

    def __init__(self, fault: Callable[[str], Exception | None]) -> None:
        super().__init__()
        self._fault = fault
        self.asked: Counter[str] = Counter()

    async def answer(self, request: Request) -> Answer:
        text = request.prompt if isinstance(request.prompt, str) else request.prompt[-1]["content"]
        self.asked[text] += 1
        if fault := self._fault(text):
            raise fault
        return await super().answer(request)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.shared.FIRST_PAUSE", 0.002)


def ask(engine: EchoEngine, *prompts: str, budget: int | None = None) -> list[Any]:
    """What each of the prompts gets, all asked at once."""

    async def together() -> list[Any]:
        shared = SharedEngine(engine, budget, Spending())
        requests = [Request((Message(role="user", content=prompt),), Sampling(max_tokens=9)) for prompt in prompts]
        try:
            return await asyncio.gather(*map(shared.answer, requests), return_exceptions=True)
        finally:
            await shared.close()

    return asyncio.run(together())


def only_for(bad: str, error: Exception) -> Callable[[str], Exception | None]:
    return lambda prompt: error if prompt == bad else None


def test_a_refused_prompt_fails_by_itself() -> None:
    bad, good = ask(Choosy(only_for(BAD, PromptRefused("flagged"))), BAD, GOOD)
    assert isinstance(bad, PromptRefused)
    assert isinstance(good, Answer)


def test_a_refused_prompt_fails_by_itself_although_nobody_else_asks() -> None:
    engine = Choosy(only_for(BAD, PromptRefused("flagged")))
    (bad,) = ask(engine, BAD)
    assert isinstance(bad, PromptRefused)
    assert engine.asked == {BAD: 1, NEUTRAL: 1}


def test_an_engine_that_refuses_every_request_has_failed_in_its_own_words() -> None:
    for failure in ask(Choosy(lambda _: PromptRefused("no such field: seed")), BAD, GOOD):
        assert isinstance(failure, EngineFailed)
        assert str(failure) == "no such field: seed"


def test_a_request_that_keeps_failing_while_others_are_answered_fails_by_itself() -> None:
    engine = Choosy(only_for(BAD, EngineBusy("answers 500: oops")))
    bad, good = ask(engine, BAD, GOOD)
    assert type(bad) is RequestFailed
    assert "answers 500: oops" in str(bad)
    assert isinstance(good, Answer)
    assert 2 < engine.asked[BAD] <= SharedEngine.most_faults + 2


def test_a_fault_that_passes_is_nobodys_and_costs_one_request() -> None:
    faults = [EngineBusy("answers 502: bad gateway")]
    engine = Choosy(lambda _: faults.pop() if faults else None)
    (answer,) = ask(engine, GOOD)
    assert isinstance(answer, Answer)
    assert engine.asked == {GOOD: 2}


def test_an_engine_that_answers_nobody_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedEngine, "patience", 0.05)
    for failure in ask(Choosy(lambda _: EngineBusy("answers 500: oops")), BAD, GOOD):
        assert isinstance(failure, EngineFailed)
        assert "answers 500: oops" in str(failure)


def test_an_overloaded_engine_is_waited_for_as_long_as_it_answers_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedEngine, "patience", 0.5)
    turns = iter(range(1000))

    class Crowded(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            await asyncio.sleep(0.001)
            if next(turns) % 8:
                raise EngineBusy("answers 429", retry_after=0.01, overloaded=True)
            return await super().answer(request)

    assert all(isinstance(answer, Answer) for answer in ask(Crowded(), *(f"question {i}" for i in range(30))))


def test_a_request_that_alone_gets_no_connection_fails_by_itself_when_patience_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SharedEngine, "patience", 0.5)
    bad, good = ask(Choosy(only_for(BAD, EngineBusy("does not answer", overloaded=True))), BAD, GOOD)
    assert type(bad) is RequestFailed
    assert isinstance(good, Answer)


def test_a_request_that_is_repeated_is_told_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "synth"):
        ask(Choosy(only_for(BAD, EngineBusy("answers 500: oops"))), BAD, GOOD)
    (told,) = caplog.messages
    assert "retrying: answers 500: oops" in told


def test_a_budget_cannot_be_kept_where_tokens_are_not_counted() -> None:
    class Silent(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            answer = await super().answer(request)
            return Answer(answer.completions, None)

    (refusal,) = ask(Silent(), GOOD, budget=1000)
    assert isinstance(refusal, UsageError)
    assert "--budget-tokens" in str(refusal)


def test_answers_and_tokens_are_counted_as_they_arrive() -> None:
    async def counted() -> list[tuple[int, int, int]]:
        gate = asyncio.Event()

        class Waiting(EchoEngine):
            async def answer(self, request: Request) -> Answer:
                if request.seed:
                    await gate.wait()
                return await super().answer(request)

        shared = SharedEngine(Waiting(), None, Spending())
        requests = [Request("two words", Sampling(), n=2, seed=seed) for seed in (0, 0, 1)]
        asked = [asyncio.create_task(shared.answer(request)) for request in requests]
        await asyncio.wait(asked[:2])
        counts = [(shared.answered, shared.tokens, shared.in_flight)]
        gate.set()
        await asyncio.gather(*asked)
        counts.append((shared.answered, shared.tokens, shared.in_flight))
        await shared.close()
        return counts

    # Each answer is two completions of three words: the prompt, and the seed in brackets.
    assert asyncio.run(counted()) == [(2, 12, 1), (3, 18, 0)]


def test_a_request_that_failed_is_no_longer_in_flight() -> None:
    async def in_flight() -> int:
        shared = SharedEngine(Choosy(only_for(BAD, PromptRefused("flagged"))), None, Spending())
        await asyncio.gather(shared.answer(Request(BAD, Sampling())), return_exceptions=True)
        await shared.close()
        return shared.in_flight

    assert asyncio.run(in_flight()) == 0


def test_texts_are_scored_once_the_engine_has_proved_that_it_does() -> None:
    engine = Choosy(lambda _: None)
    texts = ["one two", "three four five"]

    async def scored() -> list[Answer]:
        shared = SharedEngine(engine, None, Spending())
        return await asyncio.gather(*(shared.answer(Request.to_score(text, Windows(8))) for text in texts))

    answers = asyncio.run(scored())
    assert [answer.scores.tokens for answer in answers if answer.scores] == [1, 2]
    proof, *asked = engine.asked
    assert "The sky" in proof
    assert sorted(asked) == texts
    assert set(engine.asked.values()) == {1}


def test_an_engine_that_scores_no_text_of_several_tokens_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedEngine, "patience", 0.05)
    engine = Choosy(lambda text: EngineBusy("answers 500: oops") if " " in text and "The sky" not in text else None)

    async def scored() -> None:
        await SharedEngine(engine, None, Spending()).answer(Request.to_score("two words", Windows(8)))

    with pytest.raises(EngineFailed, match="answers 500: oops"):
        asyncio.run(scored())
    assert engine.asked[NEUTRAL] > 0


def test_an_engine_says_what_it_waits_for_until_it_can_answer() -> None:
    class Slow(EchoEngine):
        starting = "loading a model"

        def __init__(self) -> None:
            super().__init__()
            self.loaded, self.proved = asyncio.Event(), asyncio.Event()

        async def start(self) -> None:
            await self.loaded.wait()

        async def answer(self, request: Request) -> Answer:
            await self.proved.wait()
            return await super().answer(request)

    async def phases(request: Request) -> list[str | None]:
        engine = Slow()
        shared = SharedEngine(engine, None, Spending())
        seen = [shared.phase]
        asked = asyncio.create_task(shared.answer(request))
        for event in (engine.loaded, engine.proved):
            await asyncio.sleep(0.05)
            seen.append(shared.phase)
            event.set()
        await asked
        seen.append(shared.phase)
        await shared.close()
        return seen

    constrained = Request("one", Sampling(), schema={"type": "string", "enum": ["a"]})
    assert asyncio.run(phases(constrained)) == [None, "loading a model", "proving constrained decoding", None]
    scored = Request.to_score("one", Windows(8))
    assert asyncio.run(phases(scored)) == [None, "loading a model", "proving scores of texts", None]
