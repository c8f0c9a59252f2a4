"""Any server with the OpenAI protocol, such as `vllm serve`, or several of them.

One try per call: the caller retries after `EngineBusy`. A vLLM server also gets fields beyond the protocol, whose
neutral values override the model's generation config, so that it answers like vLLM in process.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from msgspec import UNSET

from synth.pipelines.engines import Answer, EngineBusy, Message, PromptRefused, Request
from synth.pipelines.engines.openai.answers import (
    parsed,
    read_answer,
    read_logprobs,
    read_tokens,
    shortened,
    token_count,
)
from synth.pipelines.engines.openai.fields import advice, request_fields
from synth.pipelines.engines.openai.refusals import (
    FieldRefused,
    KeyRefused,
    NotFound,
    RateLimited,
    TooManyTokens,
    has_error,
    response_error,
)
from synth.pipelines.engines.openai.room import Room
from synth.pipelines.engines.openai.served import CONNECT_SECONDS, NoModelList, Unreachable, find_card, served_models
from synth.pipelines.engines.openai.server import Server
from synth.pipelines.engines.openai.tool_calls import with_calls_as_text
from synth.pipelines.engines.scoring import TextScorer
from synth.schemas.errors import EngineFailed, UsageError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["OpenAIEngine", "Server", "request_fields", "served_models"]

# Seconds between looks whether a server has come up.
LOOK_SECONDS = 0.5


class OpenAIEngine:
    """One server: at most `concurrency` concurrent requests, each with a timeout of `timeout` s.

    A server that does not answer at the start may have been started together with this run, and gets `wait` s.
    `fields` are added to the body of each request or replace its fields; None removes a field.

    Without `seeds`, no request has one.

    A server may ignore `n`, and give one sample. Only vLLM is known to draw sample i of a request with seed + i.
    """

    gpus = gpus_wanted = None

    def __init__(
        self,
        server: Server,
        model: str,
        concurrency: int = 64,
        timeout: float = 600,
        wait: float = 0,
        fields: Mapping[str, Any] | None = None,
        *,
        seeds: bool = True,
    ) -> None:
        self.name = server.name
        self.concurrency = concurrency
        self._server = server
        self._model = model
        self._timeout = timeout
        self._wait = wait
        self._fields = dict(fields or {})
        self._seeds = seeds
        # The field that limits a completion: newer OpenAI models accept only `max_completion_tokens`.
        self._limit_field = "max_completion_tokens" if self._fields.get("max_completion_tokens") else "max_tokens"
        self._has_limit = self._fields.get(self._limit_field, True) is not None
        self._room = Room(None)
        self._is_vllm = False
        # The sets of fields that the server has accepted: if it refuses one later, the prompt is to blame.
        self._accepted: set[frozenset[str]] = set()
        self._session: aiohttp.ClientSession | None = None

    def identity(self) -> dict[str, Any]:
        # The address does not matter, and the protocol does not tell which weights a server has.
        found = {"engine": "openai", "model": self._model, "revision": None, "args": dict(self._fields)}
        return found if self._seeds else {**found, "seeds": False}

    @property
    def starting(self) -> str:
        return f"reaching {self.name}"

    async def start(self) -> None:
        """Raises `EngineFailed` if no server answers, `UsageError` if it lists only other models."""
        import aiohttp

        self._scorer = TextScorer(self._tokens, self._logprobs)
        card = await self._card()
        self._is_vllm = card.get("owned_by") == "vllm"
        self._room = Room(token_count(card.get("max_model_len")) or None)
        self._slots = asyncio.Semaphore(self.concurrency)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_SECONDS),
            # uvicorn closes a connection after 5 idle seconds; close it earlier.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
            proxy=_proxy(self.name),
            # LLM servers set no cookies, and looking for them takes time in every request.
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _card(self) -> dict[str, Any]:
        """The server's card of the model."""
        unknown = {"id": self._model}
        if self._server.is_azure:
            # Azure lists models rather than the deployments that requests name.
            return unknown
        try:
            cards = await self._cards()
        except NoModelList as error:
            logging.getLogger("synth").warning("--model %s is not checked: %s", self._model, error)
            return unknown
        card = find_card(self._model, cards)
        if card is None:
            names = ", ".join(card["id"] for card in cards)
            raise UsageError(f"--model {self._model} is not served at {self.name}: it serves {names}")
        return card

    async def _cards(self) -> list[dict[str, Any]]:
        latest = time.monotonic() + self._wait
        while True:
            try:
                return await asyncio.to_thread(served_models, self._server)
            except Unreachable:
                if time.monotonic() > latest:
                    raise
                await asyncio.sleep(LOOK_SECONDS)

    async def answer(self, request: Request) -> Answer:
        if request.windows is not UNSET:
            return await self._scorer.answer(request)
        wanted = self._fields.get("max_completion_tokens") or request.sampling.max_tokens
        tries = self._room.tries(wanted, _size(request.prompt))
        limit = next(tries)
        while True:
            outcome: Answer | TooManyTokens
            try:
                outcome = await self._ask(request, limit)
            except TooManyTokens as refusal:
                outcome = refusal
            try:
                limit = tries.send(outcome)
            except StopIteration:
                if isinstance(outcome, Answer):
                    return outcome
                raise outcome from None

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _ask(self, request: Request, limit: int) -> Answer:
        path = "/completions" if isinstance(request.prompt, str) else "/chat/completions"
        body = self._body(request, limit)
        try:
            found = await self._post(self._server.url(path), body)
            answer = read_answer(found, body.get("n", 1), request.sampling.stop)
        except FieldRefused as refusal:
            if refusal.field == "max_tokens" and "max_completion_tokens" in refusal.words:
                self._limit_field = "max_completion_tokens"
                return await self._ask(request, limit)
            message = f"{refusal}; {advice(refusal.field, self._fields)}"
            # If the server has accepted these fields before, it refuses the prompt, which may contain the field's name.
            raise (PromptRefused if frozenset(body) in self._accepted else EngineFailed)(message) from None
        except NotFound as refusal:
            if self._accepted and await self._is_still_served():
                raise PromptRefused(str(refusal)) from None
            raise
        self._accepted.add(frozenset(body))
        return answer

    def _body(self, request: Request, limit: int) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "seed": request.seed if self._seeds else None,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if request.n > 1:
            body["n"] = request.n
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.top_k or self._is_vllm:
            body["top_k"] = sampling.top_k
        if sampling.repetition_penalty != 1 or self._is_vllm:
            body["repetition_penalty"] = sampling.repetition_penalty
        if self._is_vllm:
            body |= {"min_p": 0, "return_token_ids": request.n > 1}
        if request.schema is not None:
            form = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if isinstance(request.prompt, str):
            body["prompt"] = request.prompt
        else:
            body["messages"] = list(map(with_calls_as_text, request.prompt))
            if request.prompt[-1]["role"] == "assistant":
                body |= {"continue_final_message": True, "add_generation_prompt": False}
        if request.tools:
            # vLLM shows them to the model all the same, and leaves the calls in the text, as in process.
            body |= {"tools": request.tools, "tool_choice": "none" if self._is_vllm else None}
        body |= {**self._fields, self._limit_field: limit if self._has_limit else None}
        return {name: value for name, value in body.items() if value is not None}

    async def _tokens(self, text: str, special: bool) -> list[int]:
        body = {"model": self._model, "prompt": text, "add_special_tokens": special}
        try:
            return read_tokens(await self._post(self._server.url_of_tokenizer, body))
        except NotFound as refusal:
            raise EngineFailed(f"{refusal}; scoring needs a server that makes tokens, such as `vllm serve`") from None

    async def _logprobs(self, windows: list[list[int]]) -> list[list[float]]:
        """In one request, which asks for the prompts back and for nothing after them."""
        body = {"model": self._model, "prompt": windows, "echo": True, "max_tokens": 0, "logprobs": 0, **self._fields}
        sent = {name: value for name, value in body.items() if value is not None}
        return read_logprobs(await self._post(self._server.url("/completions"), sent), len(windows))

    async def _post(self, url: str, body: dict[str, Any]) -> Any:
        """The answer to a request, sent with one key after another until one of them is neither limited nor refused."""
        keys = self._server.keys
        async with self._slots:
            while (key := keys.take()) is not None:
                try:
                    return await self._post_with(key, url, body)
                except KeyRefused as refusal:
                    keys.drop(key, refusal)
                except RateLimited as limited:
                    if len(keys) == 1:
                        raise
                    keys.rest(key, limited.retry_after)
        raise EngineBusy(f"{self.name} limits the rate of all keys", keys.wait, overloaded=True)

    async def _post_with(self, key: str, url: str, body: dict[str, Any]) -> Any:
        import aiohttp

        assert self._session, "answer before start"
        name = self.name
        try:
            # Reading to the end gives the connection back, and a read that fails closes it.
            response = await self._session.post(url, data=orjson.dumps(body), headers=self._server.headers(key))
            raw = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            is_unreachable = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            reason = str(error) or f"{type(error).__name__} with a timeout of {self._timeout:g} s"
            raise EngineBusy(f"{name} does not answer: {reason}", overloaded=is_unreachable) from error
        if response.status >= 300:
            raise response_error(name, response.status, raw, response.headers.get("Retry-After"), body)
        try:
            answer = parsed(raw)
        except ValueError as error:
            shown = shortened(raw.decode(errors="replace"))
            raise EngineBusy(f"{name} answers something that is not JSON: {shown!r}") from error
        if has_error(answer):
            raise response_error(name, response.status, raw, response.headers.get("Retry-After"), body)
        return answer

    async def _is_still_served(self) -> bool:
        """Whether the server still lists the model; True if it lists none."""
        if self._server.is_azure:
            return True
        try:
            return find_card(self._model, await asyncio.to_thread(served_models, self._server)) is not None
        except EngineFailed:
            return True


def _size(prompt: str | tuple[Message, ...]) -> int:
    return len(prompt) if isinstance(prompt, str) else sum([len(message["content"]) for message in prompt])


def _proxy(url: str) -> str | None:
    """The proxy that the environment sets for this address, as for `urlopen`."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
