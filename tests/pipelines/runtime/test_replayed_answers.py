"""A recorded answer is replayed only for the same backend: completions for the engine, verdicts for the sandbox."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from synth.pipelines.engines import Answer, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Row, RowStage, Tools
from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from synth.schemas.dataset import Dataset
from synth.schemas.inspecting.ancestry import ancestry
from synth.schemas.record import Column, Record
from synth.schemas.records import QUERY
from tests.jails import summary_of, why_not

pytestmark = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

PROGRAM = """
def find():
    try:
        import xxhash
    except ImportError:
        return 'not there'
    return 'there'
"""


@dataclass(frozen=True)
class Both(RowStage):
    """A completion of the engine and a verdict of the sandbox for each row."""

    name: ClassVar[str] = "both"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = Record(
        "both", "", tuple(Column(name, QUERY.schema.field("id").type, "") for name in ("id", "text", "found"))
    )

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        answer = await tools.llm.generate(row["query"], Sampling())
        verdict = await tools.sandbox.run(Program.of(PROGRAM, "find"))
        yield {"id": row["id"], "text": answer.text, "found": summary_of(verdict)}


class Counting(EchoEngine):
    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.asked = 0

    async def answer(self, request: Request) -> Answer:
        self.asked += 1
        return await super().answer(request)


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "a", "query": "one"}\n{"id": "b", "query": "two"}\n')
    return str(path)


def made(
    source: str, out: Path, engine: Counting, options: Options, packages: tuple[str, ...] = ()
) -> set[tuple[str, str]]:
    """The completions and verdicts in the output."""
    Run(Both(), [source], out, options, engine=engine, sandbox=Sandbox("bwrap", 1, packages=list(packages))).execute()
    return {(row["text"], row["found"]) for row in Dataset.open(out).table.to_pylist()}


def test_verdicts_of_another_sandbox_are_not_replayed_but_completions_are(tmp_path: Path, source: str) -> None:
    first, second = Counting("hello"), Counting("hello")
    out = tmp_path / "out"
    assert made(source, out, first, Options(keep_answers=True)) == {("hello", "'not there'")}
    assert made(source, out, second, Options(update=True), ("xxhash",)) == {("hello", "'there'")}
    assert (first.asked, second.asked) == (2, 0)
    packages = Dataset.open(out).run["identity"]["sandbox"]
    assert "xxhash" in str(packages)


def test_completions_of_another_engine_are_not_replayed_but_verdicts_are(tmp_path: Path, source: str) -> None:
    first, second = Counting("hello"), Counting("goodbye")
    out = tmp_path / "out"
    made(source, out, first, Options(keep_answers=True))
    assert made(source, out, second, Options(update=True)) == {("goodbye", "'not there'")}
    assert second.asked == 2


def test_a_trace_shows_only_answers_of_the_engine_of_the_run(tmp_path: Path, source: str) -> None:
    out = tmp_path / "out"
    made(source, out, Counting("hello"), Options(keep_answers=True))
    made(source, out, Counting("goodbye"), Options(update=True))
    (row,) = ancestry("a", [str(out)])[-1:]
    assert [sample.text for exchange in row.exchanges for sample in exchange.samples] == ["goodbye"]
