"""Turn extended texts into training chats for the two roles (arXiv 2410.23933, section 3)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar, Literal

from synth.pipelines.engines import Message
from synth.pipelines.runtime.declared import ByOption, Only, Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Row, RowStage, Tools, check_not_empty
from synth.pipelines.self_lengthen import language
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ANSWERED, CHAT, EXTENDED_ANSWER

__all__ = ["Curate", "thinned"]

FOLDER = Path(__file__).parent
EXTENDER = Only("role", "extender")

_GAP = re.compile(r"\n(?:[^\S\n]*\n)+")


@dataclass(frozen=True)
class Curate(RowStage):
    """Turn extended texts into training chats.

    Writes a chat for each row. The Generator is trained on the instruction alone; the Extender on the prompt of
    `extend`, whose outline is the text that the response was made from, `thinned` so that it learns to fill gaps.

    Reasoning before the response is omitted: the roles learn to write the text directly. Rejected: `no_instruction`,
    `no_response` and, for the Extender, `no_initial`.
    """

    name: ClassVar[str] = "self-lengthen curate"
    version: ClassVar[int] = 2
    input = ByOption("role", {"generator": ANSWERED, "extender": EXTENDED_ANSWER})
    output: ClassVar[Record] = CHAT
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen curate long/ generator-chats/ --role generator",
        "synth self-lengthen curate long/ extender-chats/ --role extender --drop 0.3",
    )

    role: Annotated[Literal["generator", "extender"], Option("Role to train.")]
    prompt: Annotated[Prompt, Option("Prompt file of `extend`.", metavar="FILE"), EXTENDER] = shipped("extend", FOLDER)
    drop: Annotated[
        float, Option("Share of the outline's lines to hide from the Extender.", min=0, max=0.99), EXTENDER
    ] = 0.2

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, *self.input.names)
        question = [Message(role="user", content=with_its_input(row))]
        if self.role == "extender":
            question = self._extension(row, tools)
        yield {"id": row["id"], "messages": [*question, Message(role="assistant", content=row["response"])]}

    def _extension(self, row: Row, tools: Tools) -> list[Message]:
        outline = thinned(row["initial"], self.drop, tools.random("lines"))
        lang = language.of(row["initial"])
        rendered = self.prompt.render(instruction=with_its_input(row), outline=outline, language=lang)
        if isinstance(rendered, str):
            return [Message(role="user", content=rendered)]
        if rendered[-1]["role"] == "assistant":
            raise UsageError(
                f"--prompt {self.prompt.origin} begins the assistant's answer, which the rows already contain"
            )
        return list(rendered)


def thinned(text: str, drop: float, random: Random) -> str:
    """Drop each line of `text` with probability `drop`, unless that would drop them all.

    In the result, blank lines separate all lines of a Chinese text; in other languages they stay where they were, as in
    the paper's two variants. (There, blank lines can be dropped, too, and several may follow one another.)
    """
    kept = [line for line in text.split("\n") if not line.strip() or random.random() >= drop]
    written = [line for line in kept if line.strip()]
    if not written:
        return text
    if language.of(text) == "zh":
        return "\n\n".join(written)
    return _GAP.sub("\n\n", "\n".join(kept)).strip("\n")
