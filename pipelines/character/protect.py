"""Write protective scenes, in which a person stays in character (Character-LLM, arXiv 2310.10158)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from synth.pipelines.character.acting import Acting
from synth.pipelines.character.profile import read_profile
from synth.pipelines.character.script import Script
from synth.pipelines.runtime.asking import Ask, gather_settled
from synth.pipelines.runtime.common_options import PromptFile
from synth.pipelines.runtime.declared import shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools, check_not_empty, nothing_kept
from synth.schemas.record import Record
from synth.schemas.records import PERFORMANCE, PROFILE

__all__ = ["Protect"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Protect(Acting):
    """Write protective scenes: somebody tries to get the person to say what the person cannot know.

    A script for each paragraph of the profile, not for each scene: `<id>/p0/protect`. Somebody made up asks about
    people whom the person never knew, or things of another age, without seeming to; the person shows ignorance or
    anger. Trained on such scenes, a model is less ready to step out of its character.

    Scripts are read, sampled again and filtered as those of `perform` are. A profile is rejected as `no_profile`,
    `no_name`, `no_paragraph`, for the reason that all its filtered scripts share, or as `nothing_kept`.
    """

    name: ClassVar[str] = "character protect"
    input: ClassVar[Record] = PROFILE
    output: ClassVar[Record] = PERFORMANCE
    reads: ClassVar[str] = "Rows with a column `profile`, or .txt files, each with a profile."
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth character protect elin-marsh.txt protections/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth character protect profiles.jsonl short-ones/ --model Qwen/Qwen2.5-7B-Instruct --words 300",
    )

    prompt: PromptFile = shipped("protect", FOLDER)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "profile")
        person = read_profile(row)
        written = await gather_settled(self._write(person.name, paragraph, tools) for paragraph in person.paragraphs)
        filtered = []
        for number, (paragraph, script) in enumerate(zip(person.paragraphs, written, strict=True)):
            about = {
                "id": f"{row['id']}/p{number}/protect",
                "name": person.name,
                "profile": paragraph,
                "protective": True,
            }
            if isinstance(script, Reject):
                filtered.append(Rejected.because(script, about))
                yield filtered[-1]
            else:
                yield self.performance(about, *script, tools)
        if len(filtered) == len(written):
            raise nothing_kept(filtered)

    async def _write(self, name: str, paragraph: str, tools: Tools) -> tuple[Script, str | None]:
        prompt = self.prompt.render(name=name, profile=paragraph, words=self.words)
        ask = Ask(tools, prompt, self.form(name), self.repairs)
        return await ask.first_readable(self.samplings, partial(self.read, name))
