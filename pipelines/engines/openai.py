"""Any server that speaks the OpenAI protocol, such as `vllm serve`.

One try per call: the caller asks again after `EngineBusy`. Where the protocol is silent a server of vLLM's is asked for
more: its neutral values override the model's own generation config, so that it answers as vLLM in process does.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from pipelines.engines import Answer, Completion, EngineBusy, PromptTooLong, Request
from schemas.errors import EngineFailed, UsageError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["OpenAIEngine", "served_models"]

# How servers say that a prompt is too long: vLLM and OpenAI speak of a length, llama.cpp of a size, others of a window.
_TOO_LONG = re.compile(r"context.?(length|size|window)|maximum model length|prompt is too long", re.IGNORECASE)
_KEY_HINT = "is OPENAI_API_KEY set to a valid key?"
_CONNECT_SECONDS = 30


class OpenAIEngine:
    """`base_url` usually ends in `/v1`. At most `concurrency` requests are under way, each for `timeout` seconds.

    On a server that ignores `n`, the missing samples are asked for one by one with their own seeds. Where a server
    draws several samples with one seed, only vLLM's promise is known: sample i is drawn with seed + i.
    """

    gpus = None

    def __init__(self, base_url: str, model: str, concurrency: int = 64, timeout: float = 600) -> None:
        self._base = base_url.rstrip("/")
        self._model = model
        self._concurrency = concurrency
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    def identity(self) -> dict[str, Any]:
        # The same model behind another address is the same model; which weights a server holds, no protocol tells.
        return {"engine": "openai", "model": self._model, "revision": None, "args": {}}

    async def start(self) -> None:
        """Raises `EngineFailed` where no server answers, `UsageError` where it does not serve the model."""
        import aiohttp

        cards = {card["id"]: card for card in await asyncio.to_thread(served_models, self._base)}
        if self._model not in cards:
            raise UsageError(f"--model {self._model} is not served at {self._base}: it serves {', '.join(cards)}")
        self._is_vllm = cards[self._model].get("owned_by") == "vllm"
        self._context = cards[self._model].get("max_model_len")
        self._slots = asyncio.Semaphore(self._concurrency)
        self._session = aiohttp.ClientSession(
            headers={"Content-Type": "application/json", **_authorization()},
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=_CONNECT_SECONDS),
            # Servers on uvicorn drop a connection after 5 idle seconds; leave it before it leaves us.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
            proxy=_proxy(self._base),
            # An LLM server sets none, and looking for them takes time in every request.
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def generate(self, request: Request) -> Answer:
        path = "/completions" if isinstance(request.prompt, str) else "/chat/completions"
        completions: list[Completion] = []
        prompt_tokens: int | None = 0
        while len(completions) < request.n:
            more = _read(await self._post(path, self._body(request, first=len(completions))))
            completions.extend(more.completions)
            prompt_tokens = more.prompt_tokens
        return Answer(tuple(completions[: request.n]), prompt_tokens)

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _body(self, request: Request, first: int) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "seed": request.seed + first,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            # vLLM refuses a limit above its context, where in process it just ends there.
            "max_tokens": min(sampling.max_tokens, self._context or sampling.max_tokens),
        }
        if request.n - first > 1:
            body["n"] = request.n - first
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
            return body | {"prompt": request.prompt}
        body["messages"] = request.prompt
        if request.prompt[-1]["role"] == "assistant":
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        from aiohttp import ClientError

        assert self._session, "generate before start"
        async with self._slots:
            try:
                async with self._session.post(self._base + path, data=orjson.dumps(body)) as response:
                    raw = await response.read()
            except (ClientError, OSError) as error:
                raise EngineBusy(f"{self._base} does not answer: {error or type(error).__name__}") from error
        if response.status >= 400:
            raise self._refusal(response.status, raw, response.headers.get("Retry-After"))
        try:
            return orjson.loads(raw)
        except ValueError as error:
            raise EngineBusy(f"{self._base} answers something that is not JSON: {raw[:80]!r}") from error

    def _refusal(self, status: int, raw: bytes, retry_after: str | None) -> Exception:
        said = f"{self._base} answers {status}: {_message(raw)}"
        if status in (408, 429) or status >= 500:
            return EngineBusy(said, _seconds(retry_after))
        if status in (400, 413, 422) and _TOO_LONG.search(raw.decode(errors="replace")):
            return PromptTooLong(said)
        if status in (401, 403):
            return EngineFailed(f"{said}; {_KEY_HINT}")
        return EngineFailed(said)


def served_models(base_url: str) -> list[dict[str, Any]]:
    """The cards of the models at `base_url`, each with its `id`. Blocks. Raises `EngineFailed` where it gets none."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request as UrlRequest
    from urllib.request import urlopen

    url = f"{base_url.rstrip('/')}/models"
    try:
        with urlopen(UrlRequest(url, headers=_authorization()), timeout=_CONNECT_SECONDS) as response:
            cards: list[dict[str, Any]] = [card for card in json.load(response)["data"] if card["id"]]
    except HTTPError as error:
        with error:
            hint = _KEY_HINT if error.code in (401, 403) else "a --base-url usually ends in /v1"
            raise EngineFailed(f"{url} answers {error.code} {error.reason}; {hint}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise EngineFailed(f"no LLM server answers at {url} ({reason}); start it or correct --base-url") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineFailed(f"{url} does not answer with a list of models; correct --base-url") from error
    return cards


def _read(body: Any) -> Answer:
    """Raises `EngineBusy` for a body that is not an answer.

    Tokens are counted per choice where the server lists them. Otherwise only their total is known, and it is split in
    proportion to the texts, so that the sum is right. A server that tells neither counts as 0.
    """
    try:
        choices = sorted(body["choices"], key=lambda choice: choice["index"])
        texts = [(choice["message"]["content"] if "message" in choice else choice["text"]) or "" for choice in choices]
        # What a filter or anything else ended is as incomplete as what the limit ended.
        reasons = ["stop" if choice["finish_reason"] == "stop" else "length" for choice in choices]
        usage = body.get("usage") or {}
        counts = _split(_count(usage, "completion_tokens"), [len(text) + 1 for text in texts])
        tokens = [
            len(choice["token_ids"]) if isinstance(choice.get("token_ids"), list) else count
            for choice, count in zip(choices, counts, strict=True)
        ]
        if not texts:
            raise ValueError("no choices")
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text that is none")
        return Answer(tuple(map(Completion, texts, reasons, tokens)), _count(usage, "prompt_tokens"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineBusy(f"the server's answer is not a completion ({error!r})") from error


def _count(usage: Any, name: str) -> int:
    count = usage.get(name) or 0
    if not isinstance(count, int) or not 0 <= count < 1 << 40:
        raise ValueError(f"{name} is no number of tokens")
    return int(count)


def _split(total: int, weights: Sequence[int]) -> list[int]:
    edges = [total * reached // sum(weights) for reached in accumulate(weights)]
    return [end - start for start, end in pairwise([0, *edges])]


def _message(raw: bytes) -> str:
    try:
        body = orjson.loads(raw)
        return str(body.get("error", body).get("message") or body)
    except (ValueError, AttributeError):
        return raw[:200].decode(errors="replace").strip()


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _authorization() -> dict[str, str]:
    key = os.environ.get("OPENAI_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address, as `urlopen` takes it."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
