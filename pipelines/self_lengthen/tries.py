"""What the stages share: sampling options, retries, and checks of completions."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.common_options import MaxTokens, Temperature, TopP
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Rejected, Row, RowStage, Tools, nothing_kept

__all__ = ["EndOfText", "Writing", "fault_of", "until_kept"]


EndOfText = Annotated[
    tuple[str, ...],
    Option(
        "End a text before this; \\n is a line break. Repeatable.",
        metavar="TEXT",
        read=lambda texts: tuple(text.replace("\\n", "\n") for text in texts),
    ),
]


@dataclass(frozen=True)
class Writing(RowStage):
    """A stage that samples long texts, by default with the paper's parameters. `texts` names the tally of its outputs.

    The published code also stops at three line breaks and at several forms of a line of dashes. That would cut
    programs, tables and front matter, and a chat model ends its turn without it.
    """

    texts: ClassVar[str]

    temperature: Temperature = 0.7
    top_p: TopP = 0.8
    top_k: Annotated[int, Option("Number of most likely tokens to sample from; 0 for all.", min=0)] = 20
    repetition_penalty: Annotated[float, Option("Above 1, repeated tokens become less likely.", min=0.01)] = 1.1
    stop: EndOfText = ()
    max_tokens: MaxTokens = 16_384

    @property
    def means(self) -> Mapping[str, str]:
        return {"words": self.texts}

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

    def outcome(self, outputs: Sequence[Row | Rejected], tools: Tools) -> Iterator[Row | Rejected]:
        """The filtered outputs, then the others, tallied. Raises `Reject` if all are filtered."""
        filtered = [one for one in outputs if isinstance(one, Rejected)]
        yield from filtered
        if len(filtered) == len(outputs):
            raise nothing_kept(filtered)
        for one in outputs:
            if not isinstance(one, Rejected):
                tools.tally(self.texts)
                tools.tally("words", one["words"])
                yield one


async def until_kept(draw: Callable[[int], Awaitable[Row | Rejected]], tries: int) -> list[Row | Rejected]:
    """The results of `draw` for attempts 0 to `tries - 1`, up to the first that is not filtered."""
    results: list[Row | Rejected] = []
    for attempt in range(tries):
        results.append(await draw(attempt))
        if not isinstance(results[-1], Rejected):
            break
    return results


def fault_of(completion: Completion, cut: str = "cut") -> tuple[str, str] | None:
    """Why a reply is unusable whatever its text: `refused`, `empty_answer`, or `cut` by the token limit.

    A text that hits the limit is unusable even if it stops at the end of a sentence: how much of it is missing is
    unknown, and a model trained on it would learn to stop anywhere.
    """
    return (cut, completion.cut) if completion.cut else completion.no_answer
