"""How texts are drawn, which are refused without a look at what they say, and how they are drawn again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.common_options import MaxTokens, Temperature, TopP
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Rejected, Row, RowStage

__all__ = ["EndOfText", "Writing", "fault_of", "until_kept"]


def _with_line_breaks(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.replace("\\n", "\n") for text in texts)


EndOfText = Annotated[
    tuple[str, ...],
    Option("End a text before this; \\n is a line break. Repeatable.", metavar="TEXT", read=_with_line_breaks),
]


@dataclass(frozen=True)
class Writing(RowStage):
    """A stage that draws texts; the values are the paper's.

    Its code also stops at three line breaks and at several spellings of a line of dashes, which would cut programs,
    tables and front matter: a chat model ends its turn by itself.
    """

    temperature: Temperature = 0.7
    top_p: TopP = 0.8
    top_k: Annotated[int, Option("Tokens to draw from; 0 for all.", min=0)] = 20
    repetition_penalty: Annotated[float, Option("Above 1, tokens that have occurred are less likely.", min=0.01)] = 1.1
    stop: EndOfText = ()
    max_tokens: MaxTokens = 16_384

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            repetition_penalty=self.repetition_penalty,
            max_tokens=self.max_tokens,
            stop=self.stop,
        )


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
    return ("cut", completion.cut) if completion.cut else completion.no_answer
