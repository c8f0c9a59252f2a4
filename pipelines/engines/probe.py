"""Checks that an engine does what is asked of it: a server may accept a schema, or a text to score, and ignore that."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from synth.pipelines.engines import Answer, Completion, Message, Request, RequestFailed, Sampling, Windows
from synth.pipelines.engines.reasoning import separate_reasoning
from synth.schemas.errors import EngineFailed

__all__ = ["Answering", "check_schemas_enforced", "check_texts_scored"]

Answering = Callable[[Request], Awaitable[Answer]]

# Token limits for the answer alone, and for a model that reasons first.
_LIMITS = (64, 4096)
_HINT = "use --engine vllm, a server with structured output, or --no-schema if the step has it"
_SCORING_HINT = "use --engine vllm, or a server that gives the log-probabilities of prompts, such as `vllm serve`"


async def check_schemas_enforced(answering: Answering) -> None:
    """Ask concurrently for prose under two schemas, each allowing one value. Raises `EngineFailed` for any other."""
    await asyncio.gather(_prove(answering, "heron"), _prove(answering, "quartz"))


async def check_texts_scored(answering: Answering) -> None:
    """Ask for the scores of a short text. Raises `EngineFailed` if they cannot be the model's."""
    try:
        answer = await answering(Request.to_score("The sky is blue because air scatters blue light.", Windows(4)))
    except RequestFailed as failure:
        raise EngineFailed(f"the engine does not score texts ({failure}); {_SCORING_HINT}") from failure
    if answer.scores is None or not answer.scores.tokens or answer.scores.nll <= 0:
        raise EngineFailed(f"the engine does not score texts: it answers {answer.scores}; {_SCORING_HINT}")


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
