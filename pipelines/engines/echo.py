"""An engine that echoes its prompt at once: for Makefiles in CI, tests, and benchmarks of everything else.

Tokens are words separated by white space. Answers depend only on (prompt, seed). To score a text, each word has the
negative log-probability of as many nats as it has characters.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import UNSET

from synth.pipelines.engines import Answer, Completion, Message, PromptTooLong, Request, Sampling
from synth.pipelines.engines.scoring import TextScorer

__all__ = ["EchoEngine"]


class EchoEngine:
    """Answers the last user message, or the raw prompt, followed by the seed of the sample in brackets.

    `reply` replaces that text; each `{i}` in it becomes the seed. Each answer takes `delay` seconds. Prompts of
    `context` or more words are too long.
    """

    gpus = gpus_wanted = 0
    starting = "starting the echo"

    def __init__(self, reply: str | None = None, delay: float = 0, context: int | None = None) -> None:
        self._reply = reply
        self._delay = delay
        self._context = context
        self._scorer: TextScorer[str] = TextScorer(self._words, self._logprobs)

    def identity(self) -> dict[str, Any]:
        given = {"reply": self._reply, "context": self._context}
        args = {name: value for name, value in given.items() if value is not None}
        return {"engine": "echo", "model": "echo", "revision": None, "args": args}

    async def start(self) -> None:
        pass

    async def answer(self, request: Request) -> Answer:
        if self._delay:
            await asyncio.sleep(self._delay)
        if request.windows is not UNSET:
            return await self._scorer.answer(request)
        messages = _as_messages(request.prompt)
        words = sum([len(message["content"].split()) for message in messages])
        self._require_room(words)
        seeds = range(request.seed, request.seed + request.n)
        return Answer(tuple([_cut(self._text(request, messages, seed), request.sampling) for seed in seeds]), words)

    async def close(self) -> None:
        pass

    async def _words(self, text: str, special: bool) -> list[str]:  # noqa: ARG002
        return text.split()

    async def _logprobs(self, windows: Sequence[Sequence[str]]) -> list[list[float]]:
        self._require_room(max(map(len, windows)))
        return [[-float(len(word)) for word in window[1:]] for window in windows]

    def _require_room(self, words: int) -> None:
        if self._context is not None and words >= self._context:
            raise PromptTooLong(f"the prompt has {words} words and the context holds {self._context}")

    def _text(self, request: Request, messages: tuple[Message, ...], seed: int) -> str:
        if request.schema is not None:
            return json.dumps(_instance(request.schema, request.schema), separators=(",", ":"))
        text = f"{_last_question(messages)} [{seed}]" if self._reply is None else self._reply.replace("{i}", str(seed))
        last = messages[-1]
        return text.removeprefix(last["content"]) if last["role"] == "assistant" else text


def _as_messages(prompt: str | tuple[Message, ...]) -> tuple[Message, ...]:
    return (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt


def _last_question(messages: tuple[Message, ...]) -> str:
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def _cut(text: str, sampling: Sampling) -> Completion:
    words = len(text.split())
    limited = words > sampling.max_tokens
    drawn = text
    if limited:
        last = next(islice(re.finditer(r"\S+", text), sampling.max_tokens - 1, None))
        drawn, words = text[: last.end()], sampling.max_tokens
    if sampling.stop and (stops := [(at, stop) for stop in sampling.stop if (at := drawn.find(stop)) >= 0]):
        at, stop = min(stops)
        return Completion(drawn[:at], "stop", len(drawn[:at].split()), stop=stop)
    return Completion(drawn, "length" if limited else "stop", words)


def _instance(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A minimal instance of a schema with common keywords: first choices, required fields, minimum lengths."""
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _instance(target, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _instance(schema[choice][0], root)
    kind = schema.get("type", "object")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            properties = schema.get("properties", {})
            return {name: _instance(properties.get(name, {}), root) for name in schema.get("required", ())}
        case "array":
            return [_instance(schema.get("items", {}), root)] * schema.get("minItems", 0)
        case "string":
            return "a" * schema.get("minLength", 0)
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        case "boolean":
            return False
        case _:
            return None
