"""Asking a model again until a reply can be read, and asking for several things concurrently."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.runtime.outcomes import Reject, allow_empty
from synth.pipelines.runtime.tools import Tools

__all__ = ["first_readable", "gather_all", "gather_settled", "warmer_retries"]

T = TypeVar("T")
# The temperature of a retry where the first try was greedy.
WARM = 1.0


async def first_readable(
    tools: Tools,
    prompt: str | tuple[Message, ...],
    samplings: Sequence[Sampling],
    read: Callable[[Completion], T],
    schema: Mapping[str, Any] | None = None,
) -> T:
    """What `read` makes of the first reply that it does not reject; each try is the next sample of the prompt.

    There is a try for each of `samplings`, at least one. A reply that says nothing is given to `read`, too. Raises the
    last `Reject` of `read`, and `Unanswered` at once.
    """
    for number, sampling in enumerate(samplings):
        answer = await allow_empty(tools.llm.generate(prompt, sampling, first_sample=number, schema=schema))
        (completion,) = answer.completions
        try:
            return read(completion)
        except Reject as reject:
            fault = reject
    raise fault


def warmer_retries(sampling: Sampling, tries: int) -> list[Sampling]:
    """The same sampling for each try; after a greedy one, which would repeat itself, with temperature."""
    retry = sampling if sampling.temperature else replace(sampling, temperature=WARM)
    return [sampling, *[retry] * (tries - 1)]


async def gather_settled(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T | Reject]:
    """The results of all, in their order, with the `Reject` that a task raised in the place of its result.

    Where one fails otherwise the others are awaited first, so that their answers are kept; then the first such error is
    raised.
    """
    import asyncio

    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Reject):
            raise result
    return results  # type: ignore[return-value]  # no other exception is among them


async def gather_all(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The same where a `Reject` is an error, too."""
    results: list[T] = []
    for result in await gather_settled(tasks):
        if isinstance(result, Reject):
            raise result
        results.append(result)
    return results
