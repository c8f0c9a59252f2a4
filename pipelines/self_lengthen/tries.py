"""What can be tried again, side by side."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from synth.pipelines.engines import Completion, Sampling

__all__ = ["SAMPLING", "fault_of", "side_by_side"]

T = TypeVar("T")

# The paper's. Its code also stops at three line breaks and at several spellings of a line of dashes, which would cut
# programs, tables and front matter: a chat model ends its turn by itself.
SAMPLING = Sampling(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.1, max_tokens=16_384)


async def side_by_side(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, in their order. Where one fails the others are waited for, so that none is paid for twice."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]  # none of them is an exception


def fault_of(completion: Completion) -> tuple[str, str] | None:
    """Why a reply is refused without a look at what it says: `refused`, `empty_answer`, or `cut` by the token limit.

    A text that the limit ended is refused even where it stops at the end of a sentence: nothing tells how much of it is
    missing, and a model that is trained on it learns to stop anywhere.
    """
    return ("cut", completion.cut) if completion.cut else completion.silence
