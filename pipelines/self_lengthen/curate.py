"""Training rows for the two roles out of texts that were extended (arXiv 2410.23933, section 3)."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar, Literal

from synth.pipelines.engines import Message
from synth.pipelines.runtime.declared import ByOption, Only, Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.pipelines.self_lengthen import language
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ANSWERED, CHAT, EXTENDED_ANSWER

__all__ = ["Curate", "thinned"]

FOLDER = Path(__file__).parent

_GAP = re.compile(r"\n(?:[^\S\n]*\n)+")


@dataclass(frozen=True)
class Curate(RowStage):
    """Make extended texts into chats to train on.

    A chat for each row. The Generator is asked with the instruction; the Extender with the prompt of `extend`, with the
    text that the response was made of as its outline, which is `thinned`, so that it learns to fill gaps.

    What the model thought before the response is left out: the roles are trained to write the text at once. Rejected:
    `no_instruction`, `no_response`, for the Extender `no_initial`, too.
    """

    name: ClassVar[str] = "self-lengthen curate"
    version: ClassVar[int] = 2
    input = ByOption("role", {"generator": ANSWERED, "extender": EXTENDED_ANSWER})
    output: ClassVar[Record] = CHAT
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen curate long/ generator-chats/ --role generator",
        "synth self-lengthen curate long/ extender-chats/ --role extender --drop 0.3",
    )

    role: Annotated[Literal["generator", "extender"], Option("Who is to be trained.")]
    prompt: Annotated[
        Prompt, Option("The prompt that `extend` asks with.", metavar="FILE"), Only("role", "extender")
    ] = shipped("extend", FOLDER)
    drop: Annotated[
        float,
        Option("Share of the outline's lines that the Extender is not shown.", min=0, max=0.99),
        Only("role", "extender"),
    ] = 0.2

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        for column in self.input.names:
            if not row[column].strip():
                raise Reject(f"no_{column}", "it is empty")
        question = (
            self._extension(row, tools)
            if self.role == "extender"
            else [Message(role="user", content=with_its_input(row))]
        )
        yield {"id": row["id"], "messages": [*question, Message(role="assistant", content=row["response"])]}

    def _extension(self, row: Row, tools: Tools) -> Sequence[Message]:
        outline = thinned(row["initial"], self.drop, tools.random("lines"))
        spoken = language.of(row["initial"])
        rendered = self.prompt.render(instruction=with_its_input(row), outline=outline, language=spoken)
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
