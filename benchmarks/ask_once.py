"""synth's side of the contests over rows: a stage that asks once per row, run as any stage is.

usage: ask_once.py INPUT OUT [--echo | --base-url URL ...] [--in-flight N] [--chunk-rows N]
"""

import argparse
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from synth.pipelines.engines import Answer, Completion, Engine, Message, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.engines.registry import open_engine
from synth.pipelines.runtime.runner import Options, Run
from synth.pipelines.runtime.stage import Row, RowStage, Tools
from synth.schemas.record import Column, Record
from synth.schemas.records import QUERY


@dataclass(frozen=True)
class AskOnce(RowStage):
    """One request and one output row for each input row."""

    name: ClassVar[str] = "ask once"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = Record(
        "asked", "An answer.", (Column("id", pa.string(), "The row."), Column("text", pa.string(), "Its answer."))
    )

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        answer = await tools.llm.generate((Message(role="user", content=row["query"]),), Sampling(max_tokens=128))
        yield {"id": row["id"], "text": answer.text}


class AtOnce(EchoEngine):
    """Says what it was asked, as the rivals' engines in process do. EchoEngine counts words and tokens, too."""

    async def answer(self, request: Request) -> Answer:
        message = request.prompt[-1]
        assert isinstance(message, dict)
        return Answer((Completion(f"{message['content']} [0]", "stop", 40),), 40)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--echo", action="store_true")
    arguments.add_argument("--base-url", action="append", default=[])
    arguments.add_argument("--in-flight", type=int, default=64)
    arguments.add_argument("--chunk-rows", type=int)
    given = arguments.parse_args()
    engine: Engine = EchoEngine() if given.echo else AtOnce()
    if given.base_url:
        engine = open_engine("openai", "loopback", given.base_url, {"concurrency": str(given.in_flight)})
    started = time.perf_counter()
    options = Options(chunk_rows=given.chunk_rows)
    source = rows if (rows := given.input / "rows.arrow").is_file() else given.input
    summary = Run(AskOnce(), [str(source)], given.out, options, engine=engine).execute()
    print(json.dumps({"rows": summary.counts.outputs, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
