"""A worker's chunks end with the rows that the run needs, in whatever order their leases come."""

import asyncio
from pathlib import Path

import pyarrow as pa

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.chunk_worker import ChunkWorker, Task
from synth.pipelines.runtime.drive import ChunkOutcome, Lease
from synth.pipelines.runtime.lines import LineFormat, rejected_schema
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.shared import Backends
from synth.pipelines.runtime.shutdown import Stopping
from synth.schemas.records import QUERY
from tests.faults.campaign import TwoCalls
from tests.pipelines.runtime.test_leases import workplace


def test_an_earlier_chunk_that_comes_later_is_not_ended_with_those_that_are_not_needed(tmp_path: Path) -> None:
    layout = workplace(tmp_path / "out")
    table = pa.table({"id": [f"q-{row}" for row in range(8)], "query": ["What?"] * 8})
    form = LineFormat(QUERY.schema, rejected_schema(QUERY.schema, QUERY.schema, raw=False, asks=True))
    task = Task(TwoCalls(), Backends(EchoEngine()), layout, Options(until=2), form, chunk_rows=4)

    async def out_of_order() -> list[ChunkOutcome]:
        worker = ChunkWorker(task, table, Stopping(layout.path))
        await worker.start()
        try:
            return await asyncio.gather(worker.work(Lease(1)), worker.work(Lease(0)))
        finally:
            await worker.close()

    _, first = asyncio.run(out_of_order())
    assert first.counts.outputs >= 2
