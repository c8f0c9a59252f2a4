"""Asking for replies that can be parsed: their form, repairs and retries; and sending several requests concurrently."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from msgspec.structs import replace

from synth.pipelines.engines import Answer, Completion, Message, Sampling
from synth.pipelines.runtime.outcomes import Reject, Rejected, Unanswered, allow_empty, last_completions, nothing_kept
from synth.pipelines.runtime.text.json_values import first_object
from synth.pipelines.runtime.tools import Tools

__all__ = ["REASON", "Ask", "Form", "gather_all", "gather_settled", "object_in", "warmer_retries", "whole_text"]

T = TypeVar("T")
# What a judge says before its verdict, in the schema of its reply. Weak models would not end it.
REASON = {"type": "string", "maxLength": 1000}
# The temperature of retries after a greedy first try.
WARM = 1.0
REPAIR = "This cannot be used: {}. Reply again, whole, in the form that was asked for, and with nothing else."


@dataclass(frozen=True)
class Form:
    """A JSON schema for replies, and the sentence that asks for it, unless the prompt does so already."""

    schema: Mapping[str, Any]
    request: str = ""

    @classmethod
    def of(cls, properties: Mapping[str, Any], request: str = "") -> "Form":
        """An object with all of these properties and no others, in this order."""
        closed = {"type": "object", "required": list(properties), "additionalProperties": False}
        return cls({**closed, "properties": properties}, request)

    def asked_in(self, prompt: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
        """The prompt with the sentence at its end, which is that of the last message of the user in a chat."""
        if not self.request:
            return prompt
        if isinstance(prompt, str):
            return f"{prompt}\n\n{self.request}"
        last = max((at for at, message in enumerate(prompt) if message["role"] == "user"), default=len(prompt) - 1)
        message = prompt[last]
        asked = Message(role=message["role"], content=f"{message['content']}\n\n{self.request}")
        return (*prompt[:last], asked, *prompt[last + 1 :])


class Ask:
    """What is asked of the model: a prompt whose replies have a `form` or are free, and how often each is repaired."""

    def __init__(
        self, tools: Tools, prompt: str | tuple[Message, ...], form: Form | None = None, repairs: int = 0
    ) -> None:
        self._tools = tools
        self._prompt = form.asked_in(prompt) if form else prompt
        self._schema = form.schema if form else None
        # Raw prompts have no turns, and a reply that continues the model's own words is not a turn by itself.
        self._repairs = repairs if not isinstance(prompt, str) and prompt[-1]["role"] == "user" else 0

    async def samples(self, sampling: Sampling, n: int = 1, first_sample: int = 0) -> Answer:
        """As `Tools.generate`; blank and refused replies are answers, too."""
        return await self._reply(self._prompt, sampling, n, first_sample)

    async def repaired(self, completion: Completion, read: Callable[[Completion], T], sampling: Sampling, at: int) -> T:
        """The result of `read` for a reply, which is sample `at`, or for the first that repairs it.

        The model is shown what it said and what is wrong with it, as further turns, and replies again. Blank, refused
        and cut replies are not worth that, and neither is what then exceeds the context. Raises the last `Reject` of
        `read`, and `Unanswered`.
        """
        prompt = self._prompt
        for left in range(self._repairs, -1, -1):
            # Of several samples, a rejection is about this one.
            last_completions.set((completion,))
            try:
                return read(completion)
            except Reject as reject:
                if not left or completion.no_answer or completion.cut:
                    raise
                fault = reject
            turns = (("assistant", completion.text), ("user", REPAIR.format(fault.detail or fault.reason)))
            prompt = (*prompt, *(Message(role=role, content=content) for role, content in turns))
            try:
                answer = await self._reply(prompt, sampling, 1, at)
            except Unanswered as unanswered:
                if unanswered.reason != "prompt_too_long":
                    raise
                raise fault from None
            self._tools.tally("repairs")
            (completion,) = answer.completions
        raise AssertionError("the last round returns or raises")

    async def first_readable(
        self,
        samplings: Sequence[Sampling],
        read: Callable[[Completion], T],
        *,
        first_sample: int = 0,
        apart: int = 1,
    ) -> T:
        """The result of `read` for the first reply that it does not reject; each try is `apart` samples after the last.

        There is one try for each of `samplings`, at least one. `read` gets blank and refused replies too. Raises the
        last `Reject` of `read`, and `Unanswered` at once.
        """
        for number, sampling in zip(count(first_sample, apart), samplings, strict=False):
            (completion,) = (await self.samples(sampling, first_sample=number)).completions
            try:
                return await self.repaired(completion, read, sampling, number)
            except Unanswered:
                raise
            except Reject as reject:
                fault = reject
        raise fault

    async def votes(self, n: int, samplings: Sequence[Sampling], read: Callable[[Completion], T]) -> list[T]:
        """The results of `n` votes, each that of the first reply of its own tries that `read` does not reject.

        Votes without such a reply are counted (`votes_lost`). If there is no other, raises `Reject`, for the reason
        that they share, or `Unanswered`.
        """
        found = await gather_settled(
            self.first_readable(samplings, read, first_sample=vote * len(samplings)) for vote in range(n)
        )
        votes = [vote for vote in found if not isinstance(vote, Reject)]
        if not votes:
            raise nothing_kept([Rejected.because(vote, {}) for vote in found if isinstance(vote, Reject)])
        if len(votes) < n:
            self._tools.tally("votes_lost", n - len(votes))
        return votes

    async def _reply(self, prompt: str | tuple[Message, ...], sampling: Sampling, n: int, first_sample: int) -> Answer:
        return await allow_empty(
            self._tools.llm.generate(prompt, sampling, n=n, first_sample=first_sample, schema=self._schema)
        )


def warmer_retries(sampling: Sampling, tries: int) -> list[Sampling]:
    """The same sampling for each try; retries of a greedy one, which would repeat itself, get a temperature."""
    retry = sampling if sampling.temperature else replace(sampling, temperature=WARM)
    return [sampling, *[retry] * (tries - 1)]


def whole_text(completion: Completion) -> str:
    """The text of a reply. Raises `Reject`: `refused`, `empty_answer`, `truncated`."""
    if completion.no_answer:
        raise Reject(*completion.no_answer)
    if completion.cut:
        raise Reject("truncated", completion.cut)
    return completion.text


def object_in(reply: str) -> dict[str, Any]:
    """The JSON object that begins with the first brace of a reply. Raises `Reject` (`unreadable`) if there is none."""
    try:
        return first_object(reply)
    except ValueError as error:
        raise Reject("unreadable", f"it is not JSON: {error}") from None


async def gather_settled(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T | Reject]:
    """The results of all tasks in order; a `Reject` that a task raises takes the place of its result.

    Any other error is raised once all tasks have ended, so that the answers of the others are kept.
    """
    import asyncio

    completions: dict[int, tuple[Completion, ...]] = {}

    async def settled(number: int, task: Coroutine[Any, Any, T]) -> T:
        before = last_completions.get()
        try:
            return await task
        finally:
            if (now := last_completions.get()) is not before:
                completions[number] = now

    results = await asyncio.gather(*(settled(*one) for one in enumerate(tasks)), return_exceptions=True)
    if completions:
        last_completions.set(tuple(one for number in sorted(completions) for one in completions[number]))
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Reject):
            raise result
    return results  # type: ignore[return-value]  # contains no other exception


async def gather_all(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Like `gather_settled`, but raises the first `Reject`, too."""
    results = await gather_settled(tasks)
    for result in results:
        if isinstance(result, Reject):
            raise result
    return results  # type: ignore[return-value]  # contains no exception
