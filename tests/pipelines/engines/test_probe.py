"""The check at the start that an engine enforces schemas, for all kinds of models."""

import asyncio
import json
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Completion, PromptRefused, Request
from synth.pipelines.engines.probe import check_schemas_enforced
from synth.schemas.errors import EngineFailed
from tests.pipelines.engines.asking import with_engine
from tests.pipelines.engines.scripted_server import Reply, Script, completion


def prove(script: Script) -> None:
    with_engine(script, lambda engine: check_schemas_enforced(engine.answer), "m")


def allowed(body: dict[str, Any]) -> str:
    schema = body["response_format"]["json_schema"]["schema"]
    return json.dumps({"word": schema["properties"]["word"]["enum"][0]})


def test_a_server_that_enforces_schemas_passes(script: Script) -> None:
    script.respond = lambda body: Reply(completion(allowed(body)))
    prove(script)
    assert len(script.asked) == 2


def test_a_server_that_ignores_schemas_fails(script: Script) -> None:
    script.replies = [Reply(completion("The sky scatters blue light. It is pretty."))]
    with pytest.raises(EngineFailed, match="does not enforce JSON schemas"):
        prove(script)


def test_a_server_that_confuses_concurrent_schemas_fails(script: Script) -> None:
    script.replies = [Reply(completion('{"word": "heron"}'))]
    with pytest.raises(EngineFailed, match="allowed only the word quartz"):
        prove(script)


@pytest.mark.parametrize("opening", ["<think>", ""])
def test_a_model_that_reasons_first_gets_more_tokens(script: Script, opening: str) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        if body["max_tokens"] < 1000:
            return Reply(completion(f"{opening}Blue light is scattered", finish_reason="length"))
        return Reply(completion(f"{opening}Blue light is scattered more.</think>\n\n{allowed(body)}"))

    script.respond = respond
    prove(script)


def test_separate_reasoning_of_a_server_is_not_part_of_the_answer(script: Script) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        message = {"content": allowed(body), "reasoning_content": "Blue light is scattered."}
        return Reply({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    script.respond = respond
    prove(script)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (Completion("", "refused", 1, refusal="I never speak of the sky."), "declines to answer: I never speak of"),
        (Completion("", "refused", None), "it declines to answer; use"),
        (Completion("", "stop", 0), "its answer is empty"),
        (Completion("", "length", 4096, "hm " * 2000), "does not answer within 4,096 tokens"),
        (Completion("[" * 5000, "stop", 5000), "does not enforce JSON schemas"),
    ],
)
def test_an_engine_without_an_answer_fails(said: Completion, says: str) -> None:
    async def answer(_request: Request) -> Answer:
        return Answer((said,), 9)

    with pytest.raises(EngineFailed, match=says):
        asyncio.run(check_schemas_enforced(answer))


def test_an_engine_that_refuses_schemas_ends_the_run() -> None:
    async def answer(_request: Request) -> Answer:
        raise PromptRefused("no json_schema here")

    with pytest.raises(EngineFailed, match=r"does not take JSON schemas \(no json_schema here\); .*--no-schema"):
        asyncio.run(check_schemas_enforced(answer))
