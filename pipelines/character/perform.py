"""Write the script of each scene (Character-LLM, arXiv 2310.10158: experience completion)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from synth.pipelines.character.acting import Acting
from synth.pipelines.runtime.asking import Ask
from synth.pipelines.runtime.common_options import PromptFile
from synth.pipelines.runtime.declared import shipped
from synth.pipelines.runtime.stage import Row, Tools, check_not_empty
from synth.schemas.record import Record
from synth.schemas.records import PERFORMANCE, SCENE

__all__ = ["Perform"]

FOLDER = Path(__file__).parent
ASKED = ("name", "profile", "type", "location", "background")


@dataclass(frozen=True)
class Perform(Acting):
    """Write the script of each scene: what the person says and thinks there, and what others say.

    The script of the scene `<id>` is `<id>/script`. It begins with the background, and has turns: who, `speaking` or
    `thinking`, and what (see `read_script`). As in the paper, the person thinks or speaks, others only speak, and the
    prompt asks for `words` words.

    An unusable reply is replaced by another sample, of which there are up to `tries`; then the scene is rejected for
    the last fault: `empty` (no turn), `short` (fewer than three), `no_background`, `without_person` (no turn is the
    person's), `truncated`, `refused`, `empty_answer`. Also rejected is a scene without text in a column, such as
    `no_location`. Stage directions and turns without a word are dropped and counted. With `schema`, the script comes as
    JSON.

    The published prompt calls the background of the scene a status, which the published parser does not find, so it
    stores another part of the prompt; and it tells the model to forget morals and laws, which this one does not.
    """

    name: ClassVar[str] = "character perform"
    input: ClassVar[Record] = SCENE
    output: ClassVar[Record] = PERFORMANCE
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth character perform scenes/ performances/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth character perform scenes/ short-ones/ --model Qwen/Qwen2.5-7B-Instruct --words 300 --repairs 1",
    )

    prompt: PromptFile = shipped("perform", FOLDER)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, *ASKED)
        prompt = self.prompt.render(**{name: row[name] for name in ASKED}, words=self.words)
        ask = Ask(tools, prompt, self.form(row["name"]), self.repairs)
        script, reasoning = await ask.first_readable(self.samplings, partial(self.read, row["name"]))
        yield self.performance({**row, "id": f"{row['id']}/script", "protective": False}, script, reasoning, tools)
