"""Sends requests to a scripted server through the real adapter."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from synth.pipelines.engines import Answer, Message, Request, Sampling
from synth.pipelines.engines.openai import OpenAIEngine, Server
from tests.pipelines.engines.scripted_server import Script

CHAT = (Message(role="user", content="Why?"),)
NEUTRAL = Sampling(max_tokens=9)


def ask(script: Script, *requests: Request, model: str = "m", **options: Any) -> list[Answer]:
    """The answers to concurrent requests, or the first error."""

    async def run(engine: OpenAIEngine) -> list[Answer]:
        return await asyncio.gather(*(all_samples(engine, request) for request in requests))

    return with_engine(script, run, model, **options)


async def all_samples(engine: OpenAIEngine, request: Request) -> Answer:
    """Of as many answers as it takes."""
    answer = await engine.answer(request)
    if (rest := request.after(answer)) is None:
        return answer
    return answer.joined(await all_samples(engine, rest))


def outcomes(script: Script, *requests: Request, **options: Any) -> list[Answer | BaseException]:
    """The answers or errors of sequential requests."""

    async def run(engine: OpenAIEngine) -> list[Answer | BaseException]:
        return [(await asyncio.gather(engine.answer(request), return_exceptions=True))[0] for request in requests]

    return with_engine(script, run, "m", **options)


def with_engine(
    script: Script, run: Any, model: str, headers: Mapping[str, str] = MappingProxyType({}), **options: Any
) -> Any:
    async def started() -> Any:
        engine = OpenAIEngine(Server(script.url, headers), model, **options)
        try:
            await engine.start()
            return await run(engine)
        finally:
            await engine.close()

    return asyncio.run(started())
