"""What the steps of this recipe draw again until it is fit, and how."""

from collections.abc import Awaitable, Callable

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.stage import Rejected, Row

__all__ = ["SAMPLING", "fault_of", "until_kept"]

# The paper's. Its code also stops at three line breaks and at several spellings of a line of dashes, which would cut
# programs, tables and front matter: a chat model ends its turn by itself.
SAMPLING = Sampling(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.1, max_tokens=16_384)


async def until_kept(draw: Callable[[int], Awaitable[Row | Rejected]], tries: int) -> list[Row | Rejected]:
    """What `draw` makes at attempts 0 to `tries - 1`, up to the first output that is not rejected."""
    made: list[Row | Rejected] = []
    for number in range(tries):
        made.append(await draw(number))
        if not isinstance(made[-1], Rejected):
            break
    return made


def fault_of(completion: Completion) -> tuple[str, str] | None:
    """Why a reply is refused without a look at what it says: `refused`, `empty_answer`, or `cut` by the token limit.

    A text that the limit ended is refused even where it stops at the end of a sentence: nothing tells how much of it is
    missing, and a model that is trained on it learns to stop anywhere.
    """
    return ("cut", completion.cut) if completion.cut else completion.silence
