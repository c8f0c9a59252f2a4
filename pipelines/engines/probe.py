"""Checks that an engine enforces schemas: a server may accept one and ignore it."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from synth.pipelines.engines import Answer, Completion, Message, Request, RequestFailed, Sampling
from synth.pipelines.engines.reasoning import separate_reasoning
from synth.schemas.errors import EngineFailed

__all__ = ["check_schemas_enforced"]

Answering = Callable[[Request], Awaitable[Answer]]

# Token limits for the answer alone, and for a model that reasons first.
_LIMITS = (64, 4096)
_HINT = "use --engine vllm, a server with structured output, or --no-schema if the step has it"


async def check_schemas_enforced(answering: Answering) -> None:
    """Ask concurrently for prose under two schemas, each allowing one value. Raises `EngineFailed` for any other."""
    await asyncio.gather(_prove(answering, "heron"), _prove(answering, "quartz"))


async def _prove(answering: Answering, word: str) -> None:
    only = {"type": "string", "enum": [word]}
    schema = {"type": "object", "properties": {"word": only}, "required": ["word"], "additionalProperties": False}
    prompt = (Message(role="user", content="Tell me in two sentences why the sky is blue."),)
    for limit in _LIMITS:
        try:
            answer = await answering(Request(prompt, Sampling(temperature=0, max_tokens=limit), schema=schema))
        except RequestFailed as failure:
            raise EngineFailed(f"the engine does not take JSON schemas ({failure}); {_HINT}") from failure
        completion = separate_reasoning(answer.completions[0])
        if _obeys(completion.text, word):
            return
        if completion.finish_reason in ("stop", "refused"):
            break
    message = f"it answers {completion.text!r}" if completion.text.strip() else _without_text(completion)
    raise EngineFailed(f"the engine does not enforce JSON schemas: allowed only the word {word}, {message}; {_HINT}")


def _without_text(completion: Completion) -> str:
    if completion.finish_reason == "refused":
        return f"it declines to answer{f': {completion.refusal}' if completion.refusal else ''}"
    if completion.finish_reason == "length":
        return f"it does not answer within {_LIMITS[-1]:,} tokens"
    return "its answer is empty"


def _obeys(text: str, word: str) -> bool:
    try:
        return bool(json.loads(text) == {"word": word})
    except (ValueError, RecursionError):
        return False
