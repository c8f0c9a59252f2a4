"""Runs a stage: opens its inputs, holds its output directory, executes it, checks that no row was lost, publishes."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.pipelines.engines import Engine
from synth.pipelines.retrieval.lookup import DocumentIndex
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.resume import claim_output
from synth.pipelines.runtime.software import software
from synth.pipelines.runtime.stage import RowStage, Stage, TableStage, row_schemas
from synth.schemas.atomic import write_json
from synth.schemas.dataset import Dataset
from synth.schemas.errors import SynthError
from synth.schemas.layout import Layout
from synth.schemas.reading.bad_rows import joined_readings
from synth.schemas.reading.joining import concatenated, unify_columns
from synth.schemas.reading.sources import Source
from synth.schemas.writing.publication import OutputStatus

if TYPE_CHECKING:
    from synth.pipelines.runtime.rows import Finished
    from synth.sandbox.pool import Sandbox

__all__ = ["Observer", "Summary", "output_status", "run"]

# Called about twice a second with the counts so far, the number of input rows, and how many of these a first pass has
# gone through, where a stage makes one.
Observer = Callable[[Counts, int, int], None]

OBSERVE_SECONDS = 0.5


@dataclass(frozen=True)
class Summary:
    """The result of a run: the record in `synth.json`, whether it was complete already, and the stage's remarks."""

    out: Path
    record: Mapping[str, Any]
    already_done: bool = False
    remarks: tuple[str, ...] = ()

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
    sandbox: "Sandbox | None" = None,
    index: DocumentIndex | None = None,
    observe: Observer = lambda _counts, _total, _prepared: None,
) -> Summary:
    """Run `stage` over `inputs` into the dataset directory `out`, or resume an earlier run.

    A row stage takes one input, unless it reads an open record. Raises the errors of `synth.schemas.errors`; finished
    work is kept in `out.partial`, and the same call resumes.
    """
    started = time.monotonic()
    sources = _sources(stage, inputs, options)
    chunk_rows = options.chunk_rows if isinstance(stage, RowStage) else None
    claim = claim_output(out, _identity(stage, sources, options, engine, sandbox, index), options, chunk_rows)
    if claim is None:
        # Up to date for `make`, too, even where the input has a newer time stamp.
        with contextlib.suppress(OSError):
            Layout(out).record.touch()
        return _summary(stage, out, Dataset.open(out).run or {}, already_done=True)
    # Imported only when there is something to do.
    from synth.pipelines.runtime.bad_rows import with_bad_rows
    from synth.pipelines.runtime.lines import rejected_schema
    from synth.pipelines.runtime.rows import RowRun
    from synth.pipelines.runtime.tables import run_table_stage

    with claim:
        unify_columns(sources)
        layout = claim.layout
        readings = [source.read(layout.input(number)) for number, source in enumerate(sources)]
        if stage.input.open:
            readings = [concatenated(sources, readings)]
        tables = [stage.adapted(reading.table) for reading in readings]
        progress = _Progress(layout.progress, stage.name, sum(table.num_rows for table in tables), observe, started)
        with progress:
            if isinstance(stage, RowStage):
                (table,) = tables
                options = replace(options, chunk_rows=claim.chunk_rows or options.chunk_rows)
                rows = RowRun(stage.prepare(table), table, layout, engine, sandbox, index, options, progress.observe)
                progress.engine_seconds = lambda: rows.engine_seconds
                finished = rows.run()
            else:
                assert isinstance(stage, TableStage)
                finished = run_table_stage(stage, tables, layout, options, progress.observe)
        if options.rejects_bad_rows:
            bad = joined_readings(readings, tables[0]).bad
            schema = rejected_schema(*row_schemas(stage, tables[0]), raw=True)
            is_cut = finished.rows < sum(table.num_rows for table in tables)
            finished = with_bad_rows(finished, bad, schema, layout, is_cut=is_cut)
        _check_conservation(finished)
        record = {
            "command": list(options.command),
            "inputs": list(inputs),
            "input_rows": finished.rows,
            "counts": asdict(finished.counts),
            "means": _means(stage, finished.counts),
            "cost": _cost(stage, finished.counts, progress.spent["engine_seconds"], engine),
            "seconds": round(progress.spent["seconds"], 3),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "software": software(),
            # None if all verdicts came from the journal: then no jail was started.
            "sandbox": sandbox.record() if sandbox else None,
        }
        claim.publish(finished.data, finished.rejected, record)
    return _summary(stage, out, record)


def _summary(stage: Stage, out: Path, record: Mapping[str, Any], *, already_done: bool = False) -> Summary:
    return Summary(out, record, already_done, tuple(stage.published(out, Counts(**record["counts"]))))


def output_status(
    stage: Stage,
    inputs: Sequence[str],
    out: Path,
    options: Options,
    *,
    engine: Engine | None = None,
    sandbox: "Sandbox | None" = None,
    index: DocumentIndex | None = None,
) -> OutputStatus:
    """What `run` with the same arguments would find, without running it. Raises `SynthError`."""
    sources = _sources(stage, inputs, options)
    return OutputStatus.of(out, _identity(stage, sources, options, engine, sandbox, index))


def _sources(stage: Stage, inputs: Sequence[str], options: Options) -> list[Source]:
    return [
        Source(
            spec,
            stage.input,
            options.columns,
            options.limit,
            rejects=options.rejects_bad_rows,
            file_column=options.file_column,
        )
        for spec in inputs
    ]


def _identity(
    stage: Stage,
    sources: Sequence[Source],
    options: Options,
    engine: Engine | None,
    sandbox: "Sandbox | None",
    index: DocumentIndex | None,
) -> dict[str, Any]:
    identity = {
        "stage": stage.name,
        "version": stage.version,
        "options": stage.identity(),
        "inputs": {str(number): source.fingerprint for number, source in enumerate(sources)},
        **options.identity(),
        "engine": engine.identity() if engine else None,
    }
    # Absent rather than null, so that older outputs keep their identity.
    plugs = {"sandbox": sandbox, "index": index}
    return {**identity, **{name: plug.identity() for name, plug in plugs.items() if plug}}


class _Progress:
    """Reports progress to the caller and to `progress.json`, which `synth watch` reads.

    A resumed run adds its time to that of earlier runs, so that the record has the total cost.
    """

    def __init__(self, path: Path, stage: str, rows: int, observe: Observer, started: float) -> None:
        self._path = path
        self._stage = stage
        self._rows = rows
        self._observe = observe
        self._started = started
        self._counts = Counts()
        self._prepared = 0
        self._next = 0.0
        self.engine_seconds: Callable[[], float] = lambda: 0.0
        self._before = {"seconds": 0.0, "engine_seconds": 0.0}
        with contextlib.suppress(OSError, ValueError):
            earlier = json.loads(self._path.read_text())
            self._before = {name: float(earlier[name]) for name in self._before}

    def __enter__(self) -> None:
        self._write()

    def __exit__(self, *_: object) -> None:
        self._write()

    @property
    def spent(self) -> dict[str, float]:
        current = {"seconds": time.monotonic() - self._started, "engine_seconds": self.engine_seconds()}
        return {name: before + current[name] for name, before in self._before.items()}

    def observe(self, counts: Counts, prepared: int = 0) -> None:
        self._counts, self._prepared = counts, prepared
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + OBSERVE_SECONDS
            self._write()
            self._observe(counts, self._rows, prepared)

    def _write(self) -> None:
        facts = {"stage": self._stage, "rows": self._rows, "prepared": self._prepared, **self.spent, "pid": os.getpid()}
        # If this fails, so do the journals, and they report it.
        with contextlib.suppress(OSError):
            write_json(self._path, {**facts, "counts": asdict(self._counts)}, durable=False)


def _check_conservation(finished: "Finished") -> None:
    counts = finished.counts
    if counts.finished != finished.rows:
        raise SynthError(
            f"of {finished.rows} input rows {counts.finished} are accounted for "
            f"({counts.produced} produced, {counts.rejected} rejected, {counts.failed} failed): "
            "nothing was published; this is a bug in the stage"
        )


def _cost(stage: Stage, counts: Counts, engine_seconds: float, engine: Engine | None) -> dict[str, float | None]:
    """The cost of a run, in total and per accepted output; None where unknown.

    Tokens are unknown if a server did not count those of every request; the GPUs of a server always are.
    """
    unknown = counts.tallies.get("uncounted_requests")
    names = ("prompt_tokens", "completion_tokens")
    tokens = {name: None if unknown else counts.tallies.get(name, 0) for name in names}
    accepted = counts.tallies.get(stage.accepted, 0) if stage.accepted else counts.outputs
    gpus = engine.gpus if engine else 0
    return {
        **tokens,
        "engine_seconds": round(engine_seconds, 3),
        "gpus": gpus,
        "accepted": accepted,
        "completion_tokens_each": _each(tokens["completion_tokens"], accepted),
        "gpu_seconds_each": None if gpus is None else _each(gpus * engine_seconds, accepted),
    }


def _means(stage: Stage, counts: Counts) -> dict[str, float]:
    whole = {name: counts.tallies.get(of) for name, of in stage.means.items()}
    return {name: round(counts.tallies[name] / of, 6) for name, of in whole.items() if of}


def _each(total: float | None, accepted: float) -> float | None:
    return None if total is None or not accepted else round(total / accepted, 3)
