"""Training rows for the two roles out of texts that were extended (arXiv 2410.23933, section 3)."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import ClassVar

from synth.pipelines.engines import Message
from synth.pipelines.runtime.instructions import asked
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.pipelines.self_lengthen import language
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ANSWERED, CHAT, EXTENDED_ANSWER

__all__ = ["CurateExtender", "CurateGenerator", "thinned"]

FOLDER = Path(__file__).parent

_GAP = re.compile(r"\n(?:[^\S\n]*\n)+")


@dataclass(frozen=True)
class CurateGenerator(RowStage):
    """A chat for each row: the instruction, and its response. Rejected: `no_instruction`, `no_response`.

    What the model thought before the response is left out: the roles are trained to write the text at once.
    """

    name: ClassVar[str] = "self-lengthen curate"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ANSWERED
    output: ClassVar[Record] = CHAT

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        for column in self.input.names:
            if not row[column].strip():
                raise Reject(f"no_{column}", "it is empty")
        asked = self._asked(row, tools)
        yield {"id": row["id"], "messages": [*asked, Message(role="assistant", content=row["response"])]}

    def _asked(self, row: Row, tools: Tools) -> Sequence[Message]:  # noqa: ARG002
        return [Message(role="user", content=asked(row))]


@dataclass(frozen=True)
class CurateExtender(CurateGenerator):
    """A chat for each row: the prompt of `extend`, with the text that the response was made of as its outline.

    The outline is `thinned`, so that the Extender learns to fill gaps. Rejected, too: `no_initial`.
    """

    input: ClassVar[Record] = EXTENDED_ANSWER

    prompt: Prompt = field(default_factory=lambda: Prompt.load("extend", FOLDER))
    drop: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise UsageError(f"--drop {self.drop} is no share of the lines; it must be 0 or more, and below 1")

    def _asked(self, row: Row, tools: Tools) -> Sequence[Message]:
        outline = thinned(row["initial"], self.drop, tools.random("lines"))
        spoken = language.of(row["initial"])
        rendered = self.prompt.render(instruction=asked(row), outline=outline, language=spoken)
        if isinstance(rendered, str):
            return [Message(role="user", content=rendered)]
        if rendered[-1]["role"] == "assistant":
            raise UsageError(f"--prompt {self.prompt.origin} begins the assistant's answer, which the rows have whole")
        return rendered


def thinned(text: str, drop: float, random: Random) -> str:
    """The lines of `text`, each left out with a chance of `drop`; but if none is left, all of them.

    Afterwards blank lines stand between all lines of a Chinese text, and elsewhere where they stood, as in the paper's
    two variants. (There blank lines are lines like others, and there may be several in a row.)
    """
    kept = [line for line in text.split("\n") if not line.strip() or random.random() >= drop]
    written = [line for line in kept if line.strip()]
    if not written:
        return text
    if language.of(text) == "zh":
        return "\n\n".join(written)
    return _GAP.sub("\n\n", "\n".join(kept)).strip("\n")
