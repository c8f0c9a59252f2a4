"""What the record of an output has of the slices that made it, when the process that publishes it holds nothing."""

from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.sandbox.pool import Sandbox
from synth.schemas.slices import Slice
from tests.faults.campaign import record_of
from tests.jails import why_not
from tests.pipelines.runtime.test_replayed_answers import Both
from tests.rows import write_rows


class OnGpus(EchoEngine):
    """Holds two GPUs once it has started."""

    gpus: Any = None

    async def start(self) -> None:
        self.gpus = 2


class Untouchable(OnGpus):
    async def start(self) -> None:
        raise AssertionError("nothing is left to be asked")


@pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")
def test_it_has_their_gpus_and_their_sandbox(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"id": f"r-{i}", "query": f"row {i}"} for i in range(4)])

    def run(engine: EchoEngine, part: Slice | None = None) -> None:
        options = Options(chunk_rows=1, slice=part)
        Run(Both(), [str(rows)], tmp_path / "out", options, engine=engine, sandbox=Sandbox("bwrap", 1)).execute()

    for number in range(2):
        run(OnGpus(), Slice(number, 2))
    run(Untouchable())
    record = record_of(tmp_path / "out")
    assert record["cost"]["gpus"] == 2
    assert record["cost"]["gpu_seconds_each"] > 0
    assert record["sandbox"]["tier"].startswith("bwrap+seccomp")
