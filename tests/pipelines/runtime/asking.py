"""A stage with two requests per row, and an engine that counts requests, for tests of the runtime."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synth.pipelines.engines import Answer, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.runner import Options, Run, Summary
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.schemas.record import Record
from synth.schemas.records import QUERY


@dataclass(frozen=True)
class Ask(RowStage):
    """Asks twice, the second time about the first answer; a question can trigger other behaviour."""

    name: ClassVar[str] = "ask"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY
    sampling: Sampling = Sampling(max_tokens=50)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        question = row["query"]
        if "refuse" in question:
            raise Reject("unwanted", "it says so")
        if "crash" in question:
            raise ZeroDivisionError("as it says")
        if "silent" in question:
            return
        first = await tools.llm.generate(({"role": "user", "content": question},), self.sampling)
        second = await tools.llm.generate(({"role": "user", "content": first.text},), self.sampling)
        if "spoil" in question:
            yield {"id": row["id"], "query": 17}
            return
        yield Rejected({"id": f"{row['id']}/draft", "query": first.text}, "draft")
        yield {"id": f"{row['id']}/answer", "query": second.text}


class CountingEngine(EchoEngine):
    """The echo engine, which counts its requests; the first answers can be faults."""

    def __init__(self, faults: list[Exception] | None = None) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.faults = faults or []

    async def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        if self.faults:
            raise self.faults.pop(0)
        return await super().answer(request)


def questions(folder: Path, texts: list[str]) -> str:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps({"id": f"q-{i}", "query": text}) + "\n" for i, text in enumerate(texts)))
    return str(path)


def ask(folder: Path, texts: list[str], engine: EchoEngine | None = None, **options: object) -> Summary:
    return Run(
        Ask(),
        [questions(folder, texts)],
        folder / "out",
        Options(**options),
        engine=engine or EchoEngine(),  # type: ignore[arg-type]
    ).execute()


def shard_bytes(folder: Path) -> dict[str, bytes]:
    """The files below a folder, except raw answers, which lie in the order in which they came."""
    paths = [path for path in sorted(folder.rglob("*.arrow")) if path.parent.name != "answers"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
