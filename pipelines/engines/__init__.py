"""LLM engines: one narrow interface, one module per engine.

A stage sends a `Request` and gets an `Answer`; the user chooses the engine. Completion `i` of a request is drawn with
seed `request.seed + i`, so the samples of a row do not depend on batching. With `--no-seeds` an engine draws them as it
likes; then `request.seed + i` is only the sample's number, by which journals tell one from another.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, Protocol, TypedDict, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

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
    "Scores",
    "Windows",
]


RequestT = TypeVar("RequestT", contravariant=True)
AnswerT = TypeVar("AnswerT", covariant=True)


class Message(TypedDict):
    """One chat turn. `role` is `system`, `user` or `assistant`.

    With tools, an assistant may have `tool_calls`, in OpenAI's layout with objects as arguments, and a turn of the role
    `tool` has the result of the one that `tool_call_id` names.
    """

    role: str
    content: str
    tool_calls: NotRequired[tuple[Mapping[str, Any], ...]]
    tool_call_id: NotRequired[str]


class Sampling(Struct, frozen=True):
    """Sampling parameters. `top_k` 0 is no limit; `max_tokens` counts generated tokens; `stop` strings are cut off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()


class Windows(Struct, frozen=True):
    """How a text is scored: in windows of at most `max_tokens` tokens, each by itself.

    With `bos`, each window begins with what the tokenizer puts before a text, if anything; without that, its first
    token has no score, because nothing precedes it. The tokens right after the token `skip_after`, such as the first
    of a document that follows another one, have none either. With `keep`, the answer has the score of each token.
    """

    max_tokens: int
    bos: bool = True
    skip_after: str | None = None
    keep: bool = False


class Request(Struct, frozen=True):
    """One prompt and how to complete it, or with `windows` a text to score, which nothing completes.

    `prompt` is raw text for a plain completion, or chat messages for the model's chat template. If the last message is
    the assistant's, the model continues it, and the completion has only the continuation.
    `schema` is a JSON schema that the engine must enforce while decoding; mentioning it in the prompt is not enough.
    `tools`, in OpenAI's layout, are for the chat template; calls of them are part of the completion's text.
    """

    prompt: str | tuple[Message, ...]
    sampling: Sampling
    n: int = 1
    seed: int = 0
    schema: Mapping[str, Any] | None = None
    # Unset rather than null, so that it is not part of the requests that journals have.
    windows: Windows | UnsetType = UNSET
    tools: tuple[Mapping[str, Any], ...] | UnsetType = UNSET

    @classmethod
    def to_score(cls, text: str, windows: Windows) -> "Request":
        return cls(text, Sampling(), n=0, windows=windows)

    def after(self, answer: "Answer") -> "Request | None":
        """The request for the samples that an answer to this one lacks; None if it has all of them."""
        given = len(answer.completions)
        return replace(self, n=self.n - given, seed=self.seed + given) if given < self.n else None


class Completion(Struct, frozen=True, omit_defaults=True):
    """One completion.

    `finish_reason` is `stop`, `length` (cut by the token limit), `refused` (the model or a filter declined to answer),
    or None if unknown. `tokens` counts all generated tokens, including reasoning; None if the engine does not count
    them. `refusal` is the text of a refusal. `stop` is the stop string that ended it, which is not in `text`; None if
    none did, or if the engine does not say so.

    An engine may set `reasoning`. Otherwise reasoning is part of `text`, between markers, and
    `synth.pipelines.engines.reasoning` separates it before a recipe sees it.
    """

    text: str
    finish_reason: str | None
    tokens: int | None
    reasoning: str | None = None
    refusal: str | None = None
    stop: str | None = None

    @property
    def cut(self) -> str | None:
        """A message if the token limit cut it, else None."""
        if self.finish_reason != "length":
            return None
        if self.reasoning and not self.text.strip():
            limit = "the token limit" if self.tokens is None else plural(self.tokens, "token")
            return f"the reasoning did not end within {limit}; see --max-tokens"
        after = "by the token limit" if self.tokens is None else f"after {plural(self.tokens, 'token')}"
        return f"cut {after}; see --max-tokens"

    @property
    def no_answer(self) -> tuple[str, str] | None:
        """Reason and detail if there is no answer: `refused`, `truncated` or `empty_answer`; else None."""
        if self.finish_reason == "refused":
            return "refused", self.refusal or "the model or a filter declined to answer"
        if self.text.strip():
            return None
        if self.cut:
            return "truncated", self.cut
        return "empty_answer", "the model ended its answer before the first word"

    @property
    def said(self) -> str:
        """Its text, or what it has of the reasoning if it has no text."""
        return self.text if self.text.strip() else self.reasoning or self.text


class Scores(Struct, frozen=True, omit_defaults=True):
    """The negative log-likelihood of a text: `nll` is the sum in nats over the `tokens` that have a score.

    `tokenizer` is the fingerprint of the tokenizer, equal for all engines that make the same tokens of a text. `dtype`
    is the number type that the model computes in, such as `bfloat16`; None if unknown. `each`, if it was asked for, has
    a value for every token of the text, None for those without a score.
    """

    nll: float
    tokens: int
    tokenizer: str
    dtype: str | None = None
    each: tuple[float | None, ...] | None = None


class Answer(Struct, frozen=True, omit_defaults=True):
    """The completions of a request in sample order, and the number of tokens of its prompt (None if unknown).

    Of a text to score it has the `scores`, and `prompt_tokens` are those of all its windows.
    """

    completions: tuple[Completion, ...]
    prompt_tokens: int | None
    scores: Scores | None = None

    def joined(self, others: "Answer") -> "Answer":
        """With the samples that another answer has after these."""
        completions = (*self.completions, *others.completions)
        return Answer(completions, others.prompt_tokens or self.prompt_tokens)

    @property
    def text(self) -> str:
        """The text of a single completion."""
        (only,) = self.completions
        return only.text

    @property
    def counted(self) -> tuple[int, bool]:
        """The tokens of its completions as far as they are known, and whether all counts are, the prompt's included."""
        tokens, are_known = 0, self.prompt_tokens is not None
        for completion in self.completions:
            if completion.tokens is None:
                are_known = False
            else:
                tokens += completion.tokens
        return tokens, are_known

    @property
    def tokens(self) -> int | None:
        """The number of tokens of prompt and completions; None if any count is unknown."""
        tokens, are_known = self.counted
        return (self.prompt_tokens or 0) + tokens if are_known else None


class RequestFailed(Exception):
    """The engine answers other requests but not this one: the row fails, the run continues."""

    reason = "engine_error"


class PromptTooLong(RequestFailed):
    """The prompt leaves no room in the model's context."""

    reason = "prompt_too_long"


class PromptRefused(RequestFailed):
    """The engine rejects the request, for example because a content filter flags the prompt."""

    reason = "refused"


class EngineBusy(Exception):
    """A temporary fault: retry, after `retry_after` seconds if given.

    `overloaded`: the engine is overloaded or unreachable, so the request is not to blame.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, overloaded: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.overloaded = overloaded


class Backend(Protocol[RequestT, AnswerT]):
    """Answers requests of rows: an engine, a sandbox or an index. Requests and answers are plain data."""

    @property
    def starting(self) -> str:
        """What `start` is doing at the moment, in words, such as `loading the model`."""

    def identity(self) -> dict[str, Any]:
        """What determines its answers, as plain data. Available before `start`, without heavy imports."""

    async def start(self) -> None:
        """Load the model, reach the server, start the jails. Called once, before the first request."""

    async def answer(self, request: RequestT, /) -> AnswerT:
        """Answer one request. Thousands of calls may be concurrent; the backend batches or limits them."""

    async def close(self) -> None:
        """Release what `start` acquired. Pending requests are abandoned."""


class Engine(Backend[Request, Answer], Protocol):
    """A backend that completes prompts and scores texts, identified by kind, model, revision and arguments.

    Of `n` samples it may give only the first ones, at least one; whoever asks then asks for the others.

    Errors of `answer`: `RequestFailed`, `EngineBusy`, and `EngineFailed` when the engine cannot continue.
    """

    @property
    def gpus_wanted(self) -> int | None:
        """How many GPUs to keep free for it; None if it is a server, which any number of processes share."""

    @property
    def gpus(self) -> int | None:
        """How many GPUs it uses once started; None if unknown, as for a server."""
