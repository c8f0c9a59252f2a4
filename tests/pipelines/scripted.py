"""Stages without a runner: a model that says what it is told to, and lists for the rows that come out."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pyarrow as pa

from synth.pipelines.engines import Answer, Completion, Message, Sampling
from synth.pipelines.runtime.outcomes import last_completions
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, TableStage

Prompted = str | tuple[Message, ...]


class ScriptedTools:
    """Sample `i` of any prompt is line `i` of the script; a script given as (text, finish_reason) can be cut."""

    model = "scripted"

    def __init__(self, script: Sequence[str | tuple[str, str]]) -> None:
        self._script = [line if isinstance(line, tuple) else (line, "stop") for line in script]
        self.requests: list[tuple[Prompted, Sampling, range]] = []
        self.schemas: list[Any] = []
        self.offered: list[Any] = []
        self.tallies: dict[str, float] = defaultdict(float)

    @property
    def llm(self) -> "ScriptedTools":
        return self

    async def generate(
        self,
        prompt: Prompted,
        sampling: Sampling,
        *,
        n: int = 1,
        first_sample: int = 0,
        schema: Any = None,
        tools: Any = (),
    ) -> Answer:
        self.schemas.append(schema)
        self.offered.append(tools)
        samples = range(first_sample, first_sample + n)
        self.requests.append((prompt, sampling, samples))
        answer = Answer(tuple(await self.completions(prompt, samples)), prompt_tokens=11)
        last_completions.set(answer.completions)
        return answer

    async def completions(self, prompt: Prompted, samples: range) -> list[Completion]:  # noqa: ARG002
        """What the model says as these samples of a prompt."""
        lines = self._script[samples.start : samples.stop]
        assert len(lines) == len(samples), "the script is too short"
        return [Completion(text, reason, len(text.split())) for text, reason in lines]

    def random(self, *purpose: str | int) -> Random:
        return Random("/".join(map(str, purpose)))

    def tally(self, name: str, amount: float = 1) -> None:
        self.tallies[name] += amount


def process(stage: RowStage, row: Row, tools: ScriptedTools) -> tuple[list[Row], list[Rejected], Reject | None]:
    """What one row gives: output rows, outputs that were filtered, and the rejection of the row itself."""
    rows: list[Row] = []
    rejected: list[Rejected] = []

    async def drive() -> Reject | None:
        try:
            async for item in stage.process(row, tools):
                if isinstance(item, Rejected):
                    rejected.append(item)
                else:
                    rows.append(item)
        except Reject as reject:
            return reject
        return None

    return rows, rejected, asyncio.run(drive())


class Outcome:
    """What a table stage wrote, with every input row accounted for."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.rejected: list[tuple[Row, str, str]] = []
        self.filtered: list[Rejected] = []
        self.accounted_for = 0
        self.tallies: dict[str, float] = defaultdict(float)

    def write(self, rows: Iterable[Row], *, accounts_for: int) -> None:
        self.rows += rows
        self.accounted_for += accounts_for

    def salt(self, *purpose: str | int) -> int:  # noqa: ARG002
        return 7

    def reject(self, row: Row, reason: str, detail: str = "") -> None:
        self.rejected.append((row, reason, detail))
        self.accounted_for += 1

    def reject_output(self, output: Rejected) -> None:
        self.filtered.append(output)

    def tally(self, name: str, amount: float = 1) -> None:
        self.tallies[name] += amount

    @property
    def reasons(self) -> dict[str, str]:
        """Reason of each rejected row, by id."""
        return {row["id"]: reason for row, reason, _ in self.rejected}


def process_tables(stage: TableStage, *tables: Sequence[Row]) -> Outcome:
    outcome = Outcome()
    stage.process([pa.Table.from_pylist(list(table), stage.input.schema) for table in tables], outcome)
    assert outcome.accounted_for == sum(map(len, tables))
    # What was written fits its schema.
    pa.Table.from_pylist(outcome.rows, stage.output.schema)
    pa.Table.from_pylist([row for row, _, _ in outcome.rejected], stage.input.schema)
    assert all(set(row) <= set(stage.output.names) for row in outcome.rows)
    return outcome


def sampled(query_id: str, *responses: str, answer: str = "#### 7", model: str = "small") -> list[dict[str, Any]]:
    """The paths of one question, as `reject sample` writes them."""
    return [
        {
            "id": f"{query_id}/path-{sample}",
            "query_id": query_id,
            "query": f"What is asked in {query_id}?",
            "answer": answer,
            "response": response,
            "sample": sample,
            "temperature": 0.7,
            "reasoning": None,
            "model": model,
            "finish_reason": "stop",
            "prompt_tokens": 11,
            "completion_tokens": len(response.split()),
        }
        for sample, response in enumerate(responses)
    ]
