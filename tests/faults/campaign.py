"""What the campaign of faults shares: a stage, an engine that writes down what it is asked, and what must hold."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from synth.pipelines.engines import Answer, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.schemas.answers import ANSWERS
from synth.schemas.journal import copied_journal, read_journal
from synth.schemas.record import Record
from synth.schemas.records import QUERY

# The rows of a chunk: a few rows are many chunks.
CHUNK_ROWS = 4
# A prompt and the seed of its first sample.
Asked = tuple[str, int]


@dataclass(frozen=True)
class TwoCalls(RowStage):
    """Asks, and asks about the answer; turns its draft away. A row that says so is refused, or raises until mended."""

    name: ClassVar[str] = "two calls"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY
    mended: ClassVar[bool] = False
    sampling: Sampling = Sampling(max_tokens=50)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        first = await tools.llm.generate(row["query"], self.sampling)
        if "refuse" in row["query"]:
            raise Reject("unwanted", "it says so")
        if "stumble" in row["query"] and not self.mended:
            raise ValueError("the parser stumbles")
        second = await tools.llm.generate(first.text, self.sampling)
        yield Rejected({"id": f"{row['id']}/draft", "query": first.text}, "draft")
        yield {"id": f"{row['id']}/one", "query": second.text}
        yield {"id": f"{row['id']}/two", "query": second.text.upper()}


class WritingEngine(EchoEngine):
    """The echo engine, writing each request to a file that outlives the process; rows overtake one another."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log

    async def answer(self, request: Request) -> Answer:
        with self._log.open("a") as log:
            log.write(json.dumps([request.prompt, request.seed]) + "\n")
        await asyncio.sleep(request.seed % 3 / 1000)
        return await super().answer(request)


def asked(log: Path) -> list[Asked]:
    return [(prompt, seed) for prompt, seed in map(json.loads, log.read_text().splitlines())] if log.exists() else []


def questions(folder: Path, texts: list[str]) -> Path:
    path = folder / "questions.jsonl"
    path.write_text(
        "".join(json.dumps({"id": f"q-{index:03d}", "query": text}) + "\n" for index, text in enumerate(texts))
    )
    return path


def in_small_chunks(*, chunk_rows: int = CHUNK_ROWS, **options: Any) -> Options:
    """Where runs as small as these are many, a small `in_flight` saves a third of their time."""
    return Options(chunk_rows=chunk_rows, **options)


def run_two_calls(source: Path, out: Path, log: Path, options: Options) -> Summary:
    return Run(TwoCalls(), [str(source)], out, options, engine=WritingEngine(log)).execute()


def shard_bytes(out: Path) -> dict[str, bytes]:
    """The data files of an output and of its rejected rows; raw answers lie in the order in which they came."""
    folders = [out, out / "rejected"]
    return {str(path.relative_to(out)): path.read_bytes() for folder in folders for path in folder.glob("*.arrow")}


def recorded(*folders: Path) -> set[Asked]:
    """The requests whose answers lie in any journal under these folders."""
    found: set[Asked] = set()
    for folder in folders:
        for path in files_below(folder):
            if path.suffix == ".arrow" and "answers" in (path.stem, path.parent.name):
                # A run that works there may have finished the chunk meanwhile.
                with suppress(FileNotFoundError):
                    requests = copied_journal(path, ANSWERS)["request"].to_pylist()
                    found.update(asked_for(json.loads(request)) for request in requests)
    return found


def asked_for(request: Mapping[str, Any]) -> Asked:
    """Of a request as it is recorded, or as a server receives it, whose tokens are characters."""
    prompt = request.get("prompt") or request["messages"]
    if "echo" in request:
        prompt = "".join(chr(token) for window in prompt for token in window)
    return prompt if isinstance(prompt, str) else prompt[-1]["content"], request.get("seed", 0)


def files_below(folder: Path) -> Iterator[Path]:
    """Unlike `Path.glob`, bears that a run which works there removes folders meanwhile."""
    return (Path(parent, name) for parent, _, names in os.walk(folder) for name in sorted(names))


def finished_rows(partial: Path, chunk_rows: int) -> set[int]:
    """The indices of the input rows that journals and published chunks know the end of."""
    finished: set[int] = set()
    for path in files_below(partial):
        if path.match("work/*/*/rows.arrow") and (schema := _schema(path)):
            finished.update(read_journal(path, schema)["_row"].to_pylist())
    for record in partial.glob("shards/*.json"):
        start = int(record.stem) * chunk_rows
        finished.update(range(start, start + chunk_rows))
    return finished


def _schema(journal: Path) -> pa.Schema | None:
    try:
        return pa.ipc.open_stream(journal.read_bytes()).schema
    except pa.ArrowInvalid:
        return None


def record_of(out: Path) -> dict[str, Any]:
    """The run record of an output, in which every input row must be accounted for."""
    record: dict[str, Any] = json.loads((out / "synth.json").read_text())
    counts = record["counts"]
    assert counts["produced"] + counts["rejected"] + counts["failed"] == record["input_rows"]
    return record


def flip(path: Path, position: int = -64) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
