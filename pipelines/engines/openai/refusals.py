"""Classifies errors of a server: a fault of the request, a temporary fault of the server, or a fault of the run."""

import re
import time
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from synth.pipelines.engines import EngineBusy, PromptRefused, PromptTooLong
from synth.pipelines.engines.openai.answers import error_text, parsed, shortened, token_count
from synth.pipelines.engines.openai.fields import refused_field
from synth.schemas.errors import EngineFailed

__all__ = [
    "KEY_HINT",
    "FieldRefused",
    "KeyRefused",
    "NotFound",
    "RateLimited",
    "TooManyTokens",
    "has_error",
    "response_error",
]

KEY_HINT = "is OPENAI_API_KEY set to a valid key?"
_URL_HINT = "a --base-url usually ends in /v1, and --model names what the server offers"

_OVERLOADED = frozenset({408, 429, 503, 529})
_BUSY = frozenset({409, 425}) | _OVERLOADED
_TOO_LONG = re.compile(
    r"context.?(length|size|window|limit)|maximum model length|max_seq_len|session_len|too many tokens"
    r"|reduce the length|(prompt|inputs?|messages)\b.{0,80}(too (long|large)|longer than|exceed|less than|<=)"
    r".{0,80}(token|length|\d)|max_\w*tokens.{0,80}(exceed|too large|at most|less than|range|[<>])"
    r"|range of max_tokens|maxoutputtokens.{0,80}range",
    re.IGNORECASE | re.DOTALL,
)
_AUTHORIZATION = re.compile(r"api.?key|authori[sz]|authentic|credential|permission|subscription", re.IGNORECASE)
_CONTENT = re.compile(r"content.?(filter|policy|management)|flagged|moderation|safety|guardrail", re.IGNORECASE)


class TooManyTokens(PromptTooLong):
    """The prompt and the requested tokens exceed the server's limit; `words` is its whole message."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


class FieldRefused(PromptRefused):
    """The server refuses `field` of the request, or its value; `words` is its whole message."""

    def __init__(self, message: str, field: str, words: str) -> None:
        super().__init__(message)
        self.field = field
        self.words = words


class NotFound(EngineFailed):
    """The server knows no such model or address."""


class KeyRefused(EngineFailed):
    """The server refuses the key: it is not valid, or its account has no credit."""


class RateLimited(EngineBusy):
    """The key has made too many requests."""


def has_error(body: Any) -> bool:
    """Whether a body is an error despite a successful status."""
    if not isinstance(body, dict) or body.get("choices"):
        return False
    return bool(body.get("error")) or body.get("object") == "error" or _code(body) is not None


def response_error(at: str, status: int, raw: bytes, retry_after: str | None, sent: Collection[str]) -> Exception:
    """The exception for an error of a server. `sent` are the names of the request's fields.

    If the HTTP status is successful, the status in the body counts.
    """
    try:
        body = parsed(raw)
    except ValueError:
        body = raw.decode(errors="replace")
    words = error_text(body)
    labels = f"{words} {_labels(body)}"
    message = f"{at} answers {status if status >= 300 else 'an error'}: {shortened(words)}"
    content = _CONTENT.search(labels)
    field = None if content else refused_field(body, words, sent)
    too_long = field in (None, "max_tokens", "max_completion_tokens") and _TOO_LONG.search(labels)
    if status < 400:
        status = _code(body) or (400 if too_long or content else 500)
    if too_long and (status in (400, 413, 422) or (status >= 500 and "exceed" in words)):
        return TooManyTokens(message, words)
    if status in _BUSY or status >= 500:
        kind = RateLimited if status == 429 else EngineBusy
        return kind(message, _seconds(retry_after), overloaded=status in _OVERLOADED)
    if status == 401 or (status == 403 and _AUTHORIZATION.search(words) and not content):
        return KeyRefused(f"{message}; {KEY_HINT}")
    if status in (404, 405):
        return (NotFound if status == 404 else EngineFailed)(f"{message}; {_URL_HINT}")
    if status == 402:
        return KeyRefused(message)
    if field:
        return FieldRefused(message, field, words)
    return PromptRefused(message)


def _seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header, a number or an HTTP date (RFC 9110, section 10.2.3); None if neither."""
    if retry_after is None:
        return None
    try:
        wait = float(retry_after)
    except ValueError:
        try:
            wait = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return max(0.0, wait) if isfinite(wait) else None


def _labels(body: Any) -> str:
    """The names of an error, such as `context_length_exceeded`."""
    error = body.get("error") if isinstance(body, dict) else None
    objects = [one for one in (error, body) if isinstance(one, dict)]
    names = [one.get(name) for one in objects for name in ("code", "type")]
    return " ".join(name for name in names if isinstance(name, str))


def _code(body: Any) -> int | None:
    """The HTTP status in the body of an error."""
    objects = [body.get("error"), body] if isinstance(body, dict) else []
    for one in objects:
        for name in ("code", "status", "status_code"):
            code = token_count(one.get(name)) if isinstance(one, dict) else None
            if code is not None and 400 <= code < 600:
                return code
    return None
