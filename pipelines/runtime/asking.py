"""Retrying until a reply can be parsed, and sending several requests concurrently."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

from msgspec.structs import replace

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.runtime.outcomes import Reject, allow_empty, last_replies
from synth.pipelines.runtime.tools import Tools

__all__ = ["first_readable", "gather_all", "gather_settled", "warmer_retries"]

T = TypeVar("T")
# The temperature of retries after a greedy first try.
WARM = 1.0


async def first_readable(
    tools: Tools,
    prompt: str | tuple[Message, ...],
    samplings: Sequence[Sampling],
    read: Callable[[Completion], T],
    schema: Mapping[str, Any] | None = None,
    *,
    first_sample: int = 0,
    apart: int = 1,
) -> T:
    """The result of `read` for the first reply that it does not reject; each try is `apart` samples after the last.

    There is one try for each of `samplings`, at least one. `read` gets blank and refused replies too. Raises the last
    `Reject` of `read`, and `Unanswered` at once.
    """
    for number, sampling in zip(count(first_sample, apart), samplings, strict=False):
        answer = await allow_empty(tools.llm.generate(prompt, sampling, first_sample=number, schema=schema))
        (completion,) = answer.completions
        try:
            return read(completion)
        except Reject as reject:
            fault = reject
    raise fault


def warmer_retries(sampling: Sampling, tries: int) -> list[Sampling]:
    """The same sampling for each try; retries of a greedy one, which would repeat itself, get a temperature."""
    retry = sampling if sampling.temperature else replace(sampling, temperature=WARM)
    return [sampling, *[retry] * (tries - 1)]


async def gather_settled(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T | Reject]:
    """The results of all tasks in order; a `Reject` that a task raises takes the place of its result.

    Any other error is raised once all tasks have ended, so that the answers of the others are kept.
    """
    import asyncio

    replies: dict[int, tuple[str, ...]] = {}

    async def settled(number: int, task: Coroutine[Any, Any, T]) -> T:
        before = last_replies.get()
        try:
            return await task
        finally:
            if (now := last_replies.get()) is not before:
                replies[number] = now

    results = await asyncio.gather(*(settled(*one) for one in enumerate(tasks)), return_exceptions=True)
    if replies:
        last_replies.set(tuple(reply for number in sorted(replies) for reply in replies[number]))
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
