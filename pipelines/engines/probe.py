"""Whether an engine really enforces schemas: a server may accept one and ignore it."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from pipelines.engines import Answer, Message, Request, Sampling
from pipelines.engines.reasoning import separated
from schemas.errors import EngineFailed

__all__ = ["prove_constrained"]

# Tokens. Reasoning comes before what is held to the schema.
ENOUGH_FOR_A_WORD, ENOUGH_TO_REASON = 64, 8192

Generate = Callable[[Request], Awaitable[Answer]]


async def prove_constrained(generate: Generate) -> None:
    """Ask twice at once for prose, under two schemas that each allow one value. Raises `EngineFailed` for any other."""
    await asyncio.gather(_prove(generate, "heron"), _prove(generate, "quartz"))


async def _prove(generate: Generate, word: str) -> None:
    only = {"type": "string", "enum": [word]}
    schema = {"type": "object", "properties": {"word": only}, "required": ["word"], "additionalProperties": False}
    prompt = (Message(role="user", content="Tell me in two sentences why the sky is blue."),)
    for limit in (ENOUGH_FOR_A_WORD, ENOUGH_TO_REASON):
        sampling = Sampling(temperature=0, max_tokens=limit)
        (completion,) = (await generate(Request(prompt, sampling, schema=schema))).completions
        said = separated(completion)
        if not (said.reasoning and said.cut):
            break
    text = said.text
    try:
        obeyed = json.loads(text) == {"word": word}
    except ValueError:
        obeyed = False
    if not obeyed:
        raise EngineFailed(
            f"the engine does not hold to JSON schemas: allowed the word {word} alone, it answers {text!r}; "
            "use --engine vllm, a server with structured output, or --no-schema where the step has it"
        )
