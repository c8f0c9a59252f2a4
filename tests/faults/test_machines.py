"""Any order of events: journals and runs do what a model of a few lines says that they must."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from synth.pipelines.engines import Answer, EngineBusy, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, Partial
from synth.schemas.journal import Journal, read_journal
from synth.schemas.record import Record
from synth.schemas.records import QUERY
from tests.faults.campaign import questions, shard_bytes

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])
rows = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.none() | st.text(max_size=9)), min_size=1, max_size=4)


class JournalMachine(RuleBasedStateMachine):
    """The model is the batches that must be there, and the length of the file after each."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "journal.arrow"
        self.journal: Journal | None = None
        self.batches: list[list[Any]] = []
        self.ends: list[int] = []
        # The file before it was last torn, and the ends of the batches that it lost.
        self.torn, self.lost = b"", list[int]()

    def teardown(self) -> None:
        self.close()
        shutil.rmtree(self.folder)

    @rule()
    def close(self) -> None:
        if self.journal:
            self.journal.close()
        self.journal = None

    @rule(batch=rows)
    def write(self, batch: list[Any]) -> None:
        self.journal = self.journal or Journal(self.path, SCHEMA)
        self.journal.write(batch)
        self.batches.append(batch)
        self.ends.append(self.path.stat().st_size)

    @rule()
    def write_what_does_not_fit(self) -> None:
        self.journal = self.journal or Journal(self.path, SCHEMA)
        with pytest.raises(pa.ArrowException):
            self.journal.write([(1, "fits"), (2**70, "does not")])

    @precondition(lambda self: self.path.exists())
    @rule(data=st.data())
    def tear(self, data: st.DataObject) -> None:
        self.close()
        self.torn = self.path.read_bytes()
        length = data.draw(st.integers(0, len(self.torn)), label="length")
        with self.path.open("r+b") as file:
            file.truncate(length)
        self.lost = [end for end in self.ends if end > length]
        self.keep_those_before(length + 1)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def flip(self, data: st.DataObject) -> None:
        self.close()
        content = bytearray(self.path.read_bytes())
        position = data.draw(st.integers(len(SCHEMA.serialize()), len(content) - 1), label="position")
        content[position] ^= data.draw(st.integers(1, 255), label="bits")
        self.path.write_bytes(content)
        self.keep_those_before(position + 1)

    @rule(junk=st.binary(min_size=1, max_size=64) | st.integers(1, 4096).map(bytes))
    def append_junk(self, junk: bytes) -> None:
        """Zeros are what a power cut leaves where a file was made longer and not yet written."""
        self.close()
        if not self.path.exists() or self.path.stat().st_size < len(SCHEMA.serialize()):
            return
        grown = self.path.read_bytes() + junk
        # A batch may end in zeros: where they were torn off, as many of them are no junk.
        if not any(grown[:end] == self.torn[:end] for end in self.lost):
            self.path.write_bytes(grown)

    def keep_those_before(self, length: int) -> None:
        kept = sum(end < length for end in self.ends)
        del self.batches[kept:], self.ends[kept:]

    @invariant()
    def holds_what_must_survive(self) -> None:
        found = read_journal(self.path, SCHEMA).to_pylist()
        assert [(row["number"], row["text"]) for row in found] == [row for batch in self.batches for row in batch]


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


@dataclass(frozen=True)
class Scripted(RowStage):
    """What a row does its question says: the outputs it gives, or that it is refused, or fails, after so many calls."""

    name: ClassVar[str] = "scripted"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        fate, calls, _ = row["query"].split()
        text = row["query"]
        for _ in range(int(calls)):
            text = (await tools.llm.generate(text, Sampling(max_tokens=20))).text
        if fate == "refused":
            raise Reject("refused", text)
        if fate == "fails":
            raise ValueError(text)
        for number in range(int(fate)):
            yield {"id": f"{row['id']}/{number}", "query": text}


class MoodyEngine(EchoEngine):
    """Answers in an order that the seeds decide, is busy at times, and dies after so many answers."""

    def __init__(self, asked: list[tuple[str, int]], lives: int) -> None:
        super().__init__()
        self.asked, self.lives = asked, lives
        self.refused: set[int] = set()

    async def answer(self, request: Request) -> Answer:
        if request.seed % 7 == 0 and request.seed not in self.refused:
            self.refused.add(request.seed)
            raise EngineBusy("in a moment", 0.0)
        for _ in range(request.seed % 5):
            await asyncio.sleep(0)
        if self.lives <= 0:
            raise EngineFailed("it is dead")
        self.lives -= 1
        self.asked.append((str(request.prompt), request.seed))
        return await super().answer(request)


fates = st.sampled_from(["1", "1", "2", "3", "refused", "fails"])


class RunMachine(RuleBasedStateMachine):
    """The model is what the rows say of themselves; a run dies and is repeated until it has ended."""

    @initialize(
        rows=st.lists(st.tuples(fates, st.integers(0, 2)), min_size=1, max_size=14),
        chunk=st.integers(1, 6),
        until=st.none() | st.integers(1, 12),
        keeps=st.booleans(),
    )
    def begin(self, rows: list[tuple[str, int]], chunk: int, until: int | None, keeps: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.source = questions(self.folder, [f"{fate} {calls} {n}" for n, (fate, calls) in enumerate(rows)])
        self.rows, self.until, self.keeps = rows, until, keeps
        self.chunk_rows = chunk
        self.asked: list[tuple[str, int]] = []
        self.done = False

    def options(self, **others: Any) -> Options:
        return Options(chunk_rows=self.chunk_rows, until=self.until, **others)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            if not self.done:
                self.go_on(lives=10**6, in_flight=3, max_failures=99)
            shutil.rmtree(self.folder)

    @precondition(lambda self: not self.done)
    @rule(lives=st.integers(0, 12), in_flight=st.integers(1, 20), max_failures=st.sampled_from([0, 99]))
    def go_on(self, lives: int, in_flight: int, max_failures: int) -> None:
        engine = MoodyEngine(self.asked, lives)
        options = self.options(in_flight=in_flight, keep_answers=self.keeps, max_failures=max_failures)
        try:
            counts = Run(Scripted(), [str(self.source)], self.folder / "out", options, engine=engine).execute().counts
        except EngineFailed:
            assert engine.lives <= 0
        except Partial:
            assert max_failures == 0
        else:
            self.done = True
            self.check(counts.produced, counts.rejected, counts.failed)
        # The engine never fails with what it has answered under way, so nothing at all is asked twice.
        assert len(self.asked) == len(set(self.asked))

    @precondition(lambda self: self.done)
    @rule()
    def repeat(self) -> None:
        engine = MoodyEngine([], lives=0)
        options = self.options(keep_answers=self.keeps)
        assert Run(Scripted(), [str(self.source)], self.folder / "out", options, engine=engine).execute().already_done

    def check(self, produced: int, rejected: int, failed: int) -> None:
        wanted: list[str] = []
        taken: list[str] = []
        for index, (fate, _) in enumerate(self.rows):
            if self.until is not None and len(wanted) >= self.until:
                break
            taken.append(fate)
            if fate.isdigit():
                wanted += [f"q-{index:03d}/{number}" for number in range(int(fate))]
        out = Dataset.open(self.folder / "out")
        assert out.table["id"].to_pylist() == wanted
        assert produced == sum(fate.isdigit() for fate in taken)
        assert (rejected, failed) == (taken.count("refused"), taken.count("fails"))
        rejected = [row["reason"] for row in out.rejected.rows()] if out.rejected else []
        assert rejected == [{"fails": "failed"}.get(fate, fate) for fate in taken if not fate.isdigit()]
        unbroken = self.options(max_failures=99, in_flight=2)
        Run(Scripted(), [str(self.source)], self.folder / "whole", unbroken, engine=EchoEngine()).execute()
        data, whole = shard_bytes(self.folder / "out"), shard_bytes(self.folder / "whole")
        assert {name: data[name] for name in data if "rejected" not in name} == {
            name: whole[name] for name in whole if "rejected" not in name
        }


TestRun = RunMachine.TestCase
TestRun.settings = settings(max_examples=25, stateful_step_count=6, deadline=None)
