"""LLM engines: one narrow interface, one module per engine.

A stage asks for text with a `Request` and gets an `Answer`; which engine answers is the user's choice. Completion `i`
of a request is drawn with seed `request.seed + i`, so the samples of a row do not depend on how they are batched.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypedDict, TypeVar

from msgspec import Struct

from synth.schemas.phrases import plural

__all__ = [
    "Answer",
    "Backend",
    "Completion",
    "Engine",
    "EngineBusy",
    "Message",
    "PromptRefused",
    "PromptTooLong",
    "Request",
    "RequestFailed",
    "Sampling",
]


RequestT = TypeVar("RequestT", contravariant=True)
AnswerT = TypeVar("AnswerT", covariant=True)


class Message(TypedDict):
    """One chat turn. `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


class Sampling(Struct, frozen=True):
    """How to draw text. `top_k` 0 means no limit; `max_tokens` counts generated tokens; `stop` strings are not kept."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()


class Request(Struct, frozen=True):
    """One prompt and how to complete it.

    `prompt` is raw text for a plain completion, or chat messages for the model's chat template. A chat that ends in an
    assistant message is continued from there: the completion holds only what comes after it.
    `schema` is a JSON schema that the engine must enforce while decoding, never merely mention.
    """

    prompt: str | tuple[Message, ...]
    sampling: Sampling
    n: int = 1
    seed: int = 0
    schema: Mapping[str, Any] | None = None


class Completion(Struct, frozen=True):
    """One completion.

    `finish_reason` is `stop`, `length` where the token limit cut it, `refused` where the model or a filter declined to
    answer, or None where the engine does not say. `tokens` counts all generated tokens, those of the reasoning
    included; None where the engine does not count them. `refusal` is what a model says in place of an answer.

    An engine gives `reasoning` where it separates it itself; otherwise it stands in `text` with its markers, and
    `synth.pipelines.engines.reasoning` separates the two before a recipe sees them.
    """

    text: str
    finish_reason: str | None
    tokens: int | None
    reasoning: str | None = None
    refusal: str | None = None

    @property
    def cut(self) -> str | None:
        """How the token limit cut it, for a reader; None where it did not."""
        if self.finish_reason != "length":
            return None
        if self.reasoning and not self.text.strip():
            limit = "the token limit" if self.tokens is None else plural(self.tokens, "token")
            return f"the reasoning did not end within {limit}; see --max-tokens"
        after = "by the token limit" if self.tokens is None else f"after {plural(self.tokens, 'token')}"
        return f"cut {after}; see --max-tokens"

    @property
    def no_answer(self) -> tuple[str, str] | None:
        """Why it holds no answer, as a reason and a detail: `refused`, `truncated`, `empty_answer`; or None."""
        if self.finish_reason == "refused":
            return "refused", self.refusal or "the model or a filter declined to answer"
        if self.text.strip():
            return None
        if self.cut:
            return "truncated", self.cut
        return "empty_answer", "the model ended its answer before the first word"


class Answer(Struct, frozen=True):
    """The `n` completions of a request in sample order, and the tokens of its prompt, None where nobody counts them."""

    completions: tuple[Completion, ...]
    prompt_tokens: int | None

    @property
    def text(self) -> str:
        """The text of an answer of one completion."""
        (only,) = self.completions
        return only.text

    @property
    def tokens(self) -> int | None:
        """The tokens of prompt and completions; None where the engine does not count all of them."""
        counts = [self.prompt_tokens, *[completion.tokens for completion in self.completions]]
        return None if None in counts else sum(filter(None, counts))


class RequestFailed(Exception):
    """The engine answers other requests, but not this one: the row fails, the run continues."""

    reason = "engine_error"


class PromptTooLong(RequestFailed):
    """The prompt leaves no room in the model's context."""

    reason = "prompt_too_long"


class PromptRefused(RequestFailed):
    """The engine does not accept the request, such as a prompt that a content filter flags."""

    reason = "refused"


class EngineBusy(Exception):
    """A temporary fault: retry, after `retry_after` seconds if the engine named a time.

    `overloaded`: the engine is overloaded or unreachable, so the request is not to blame.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, overloaded: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.overloaded = overloaded


class Backend(Protocol[RequestT, AnswerT]):
    """What answers rows: an engine, a sandbox, an index. Requests and answers are plain values."""

    def identity(self) -> dict[str, Any]:
        """What determines its answers, as plain values. Known before `start`, with no heavy import."""

    async def start(self) -> None:
        """Load the model, reach the server, start the jails. Called once, before the first request."""

    async def answer(self, request: RequestT, /) -> AnswerT:
        """Answer one request. Thousands of calls may be concurrent; the plug batches or bounds them."""

    async def close(self) -> None:
        """Release what `start` acquired. Pending requests are abandoned."""


class Engine(Backend[Request, Answer], Protocol):
    """A plug that completes prompts, and is identified by kind, model, revision and arguments.

    Errors of `answer`: `RequestFailed`, `EngineBusy`, and `EngineFailed` when the engine cannot continue.
    """

    @property
    def gpus(self) -> int | None:
        """How many GPUs it holds once it has started; None where that is not known, as behind a server."""
