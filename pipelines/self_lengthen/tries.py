"""What can be tried again: side by side, and what is said of a row where all of it was in vain."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from pipelines.engines import Completion, Sampling
from pipelines.stage import Reject, Rejected

__all__ = ["SAMPLING", "cut", "nothing_kept", "side_by_side"]

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


def cut(completion: Completion) -> tuple[str, str] | None:
    """Why a text that the token limit ended is refused, even where it stops at the end of a sentence.

    Nothing tells how much of it is missing, and a model that is trained on it learns to stop anywhere.
    """
    if completion.finish_reason != "length":
        return None
    return "cut", f"after {completion.tokens:,} tokens, by --max-tokens or the model's context"


def nothing_kept(refused: Sequence[Rejected]) -> Reject:
    """Why a row gives nothing: the reason that all its outputs share, or `nothing_kept`."""
    reasons = Counter(one.reason for one in refused)
    if len(reasons) == 1:
        return Reject(refused[0].reason, refused[0].detail)
    return Reject("nothing_kept", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
