"""Judges and other models that say of responses what a test wants."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import RowStage
from synth.schemas.errors import EngineFailed
from tests.rows import write_rows

# The responses as they were shown, and the place of the one to score.
Opinion = Callable[[Sequence[str], int], int]
SHOWN = re.compile(r"\[begin of response (\d+)\]\n(.*?)\n\[end of response \1\]", re.DOTALL)


class ListJudge(EchoEngine):
    """Gives each response that it is shown the score of an opinion; it breaks down after so many answers."""

    def __init__(self, opinion: Opinion, most: int = 1000) -> None:
        super().__init__()
        self._opinion = opinion
        self._most = most
        # What it was shown, and the fields that its replies were to have.
        self.asked: list[str] = []
        self.fields: dict[str, Any] = {}

    async def answer(self, request: Request) -> Answer:
        content = request.prompt if isinstance(request.prompt, str) else request.prompt[-1]["content"]
        shown = [text for _, text in SHOWN.findall(content)]
        if not shown:
            # The check that a schema is enforced.
            return await super().answer(request)
        if len(self.asked) == self._most:
            raise EngineFailed("it broke down")
        self.asked.append(content)
        self.fields = (request.schema or {})["properties"]
        scores = {str(place): self._opinion(shown, place) for place in range(1, len(shown) + 1)}
        return Answer((Completion(json.dumps({"reason": f"Of {shown[0]}.", **scores}), "stop", 9),), 7)


def by_length(shown: Sequence[str], place: int) -> int:
    return min(len(shown[place - 1]), 10)


def first_is_best(_: Sequence[str], place: int) -> int:
    return 10 - place


def ran(
    folder: Path, stage: RowStage, rows: Sequence[Mapping[str, Any]], engine: EchoEngine | None = None, **options: Any
) -> Summary:
    """The run of a stage over rows into `folder`/out."""
    source = write_rows(folder / "in.jsonl", rows)
    return Run(stage, [str(source)], folder / "out", Options(**{"fresh": True, **options}), engine=engine).execute()
