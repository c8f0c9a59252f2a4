"""A model that answers as a function of the prompt and the sample."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from synth.pipelines.engines import Answer, Completion, Message, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import RowStage
from tests.rows import write_rows

Says = Callable[[tuple[Message, ...], int], str]


class Model(EchoEngine):
    """Says what `says` returns for the messages and how often they were asked for before; records the requests."""

    def __init__(self, says: Says) -> None:
        super().__init__()
        self._says = says
        self._times: Counter[str] = Counter()
        self.requests: list[Request] = []

    async def answer(self, request: Request) -> Answer:
        assert not isinstance(request.prompt, str)
        if "the sky is blue" in str(request.prompt):
            # The check that a schema is enforced.
            return await super().answer(request)
        self.requests.append(request)
        completions = []
        for _ in range(request.n):
            text = self._says(request.prompt, self._times[str(request.prompt)])
            self._times[str(request.prompt)] += 1
            completions.append(Completion(text, "stop", len(text.split())))
        return Answer(tuple(completions), 5)


def answered(
    folder: Path, stage: RowStage, rows: Iterable[Mapping[str, Any]], says: Says, **options: Any
) -> tuple[Summary, Model]:
    """The run of a stage over rows into `folder`/out, with a model that answers as `says`."""
    model = Model(says)
    source = write_rows(folder / "rows.jsonl", rows)
    summary = Run(stage, [str(source)], folder / "out", Options(fresh=True, **options), engine=model).execute()
    return summary, model
