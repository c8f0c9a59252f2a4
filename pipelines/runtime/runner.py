"""Runs a stage: opens its inputs, claims its output directory, executes it, checks that no row is lost, publishes."""

import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.pipelines.engines import Engine
from synth.pipelines.retrieval.lookup import DocumentIndex
from synth.pipelines.runtime.cost import Estimate, cost_of, estimate
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.events import Events
from synth.pipelines.runtime.observation import Observation, Observer
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.progress import Progress
from synth.pipelines.runtime.resume import claim_output
from synth.pipelines.runtime.software import software
from synth.pipelines.runtime.stage import RowStage, Stage, TableStage, row_schemas
from synth.pipelines.runtime.tools import REUSED
from synth.schemas.dataset import Dataset
from synth.schemas.errors import Interrupted, SynthError, UsageError
from synth.schemas.layout import Layout
from synth.schemas.reading.bad_rows import joined_readings
from synth.schemas.reading.joining import concatenated, taken_apart, unify_columns
from synth.schemas.reading.sources import Source
from synth.schemas.slices import Slice
from synth.schemas.specs import recorded_command, to_record
from synth.schemas.stores.places import is_output, origin
from synth.schemas.writing.publication import OutputStatus

if TYPE_CHECKING:
    from synth.pipelines.runtime.rows import Finished, RowRun
    from synth.sandbox.pool import Sandbox

__all__ = ["Run", "Summary"]


@dataclass(frozen=True)
class Summary:
    """The result of a run: the record in `synth.json`, whether it was complete already, and the stage's remarks.

    `whole_input` is for a trial of its first rows. Of a slice, `record` has only `counts`, `input_rows` and `seconds`.
    """

    out: Path
    record: Mapping[str, Any]
    already_done: bool = False
    remarks: tuple[str, ...] = ()
    whole_input: Estimate | None = None
    slice: Slice | None = None

    @property
    def counts(self) -> Counts:
        return Counts(**self.record["counts"])

    @property
    def reason(self) -> str:
        """Why it has ended."""
        if self.already_done:
            return "it is complete already"
        return f"all rows of slice {self.slice} are finished" if self.slice else "all rows are finished"


@dataclass(frozen=True)
class Run:
    """A stage with its inputs and tools, and the dataset directory `out` to make.

    A row stage takes one input, unless its input is an open record.
    """

    stage: Stage
    inputs: Sequence[str]
    out: Path
    options: Options
    _: KW_ONLY
    engine: Engine | None = None
    sandbox: "Sandbox | None" = None
    index: DocumentIndex | None = None

    def __post_init__(self) -> None:
        """Raises `UsageError` for a slice of an output in an object store."""
        if self.options.slice and is_output(self.out):
            raise UsageError(
                f"{origin(self.out)} is in an object store, where slices cannot see one another: name an output on a "
                "file system that all of them share"
            )

    def status(self) -> OutputStatus:
        """The status of `out` for this run, without running it. Raises `SynthError`."""
        options = self.options
        return OutputStatus.of(self.out, self._identity(self._sources()), options.stale, options.remake)

    def execute(self, observe: Observer = lambda _: None) -> Summary:
        """Run the stage, or resume an earlier run.

        Raises the errors of `synth.schemas.errors`; finished work is kept in `out.partial`, and the same run resumes.
        """
        with Events(self.options.events, self.stage.name, self.out) as events:

            def tell(seen: Observation) -> None:
                events.observe(seen)
                observe(seen)

            try:
                summary = self._execute(events, tell)
            except KeyboardInterrupt:
                raise Interrupted from None
            events.complete(summary.counts, summary.reason)
        return summary

    def _execute(self, events: Events, observe: Observer) -> Summary:
        started = time.monotonic()
        stage, options = self.stage, self.options
        observe(Observation(phase=f"reading {', '.join(self.inputs)}"))
        sources = self._sources()
        claim = claim_output(self.out, self._identity(sources), options)
        if claim is None:
            # So that `make` finds it up to date even if the input has a newer time stamp.
            with contextlib.suppress(OSError):
                Layout(self.out).record.touch()
            record = Dataset.open(self.out).run or {}
            events.start(record["input_rows"])
            return self._summary(record, already_done=True)
        # Imported only when there is something to do.
        from synth.pipelines.runtime.bad_rows import with_bad_rows
        from synth.pipelines.runtime.lines import rejected_schema
        from synth.pipelines.runtime.rows import RowRun, rows_of_a_chunk
        from synth.pipelines.runtime.shared import Backends
        from synth.pipelines.runtime.tables import run_table_stage

        with claim:
            unify_columns(sources)
            layout = claim.layout
            readings = [source.read(layout.input(number)) for number, source in enumerate(sources)]
            input_sizes = [reading.rows for reading in readings]
            if stage.input.open:
                readings = [concatenated(sources, readings, layout.path)]
            tables = [stage.adapted(reading.table) for reading in readings]
            if stage.inputs_apart:
                tables = taken_apart(readings[0], tables[0], input_sizes)
            input_rows = sum(table.num_rows for table in tables)
            events.start(input_rows)
            progress = Progress(layout, options.slice, stage.name, input_rows, observe, started)
            if isinstance(stage, RowStage):
                (table,) = tables
                chunk_rows = claim.in_chunks(options.chunk_rows or rows_of_a_chunk(input_rows))
                backends = Backends(self.engine, self.sandbox, self.index, stage.scorer)
                rows = RowRun(stage.prepare(table), table, layout, backends, options, chunk_rows, progress.observe)
                progress.engine_seconds = lambda: rows.engine_seconds
                progress.of_slice = rows.slice_facts if options.slice else None
                with progress:
                    if options.slice:
                        return self._summary_of_slice(rows, progress)
                    finished = rows.run().with_slices([report["slice"] for report in progress.slices])
            else:
                assert isinstance(stage, TableStage)
                with progress:
                    finished = run_table_stage(stage, tables, _names(sources), layout, options, progress.observe)
            if options.rejects_bad_rows:
                bad = joined_readings(readings, tables[0]).bad
                schema = rejected_schema(*row_schemas(stage, tables[0]), raw=True, asks=self.engine is not None)
                finished = with_bad_rows(finished, bad, schema, layout, is_cut=finished.rows < input_rows)
            _check_conservation(finished)
            reused = int(finished.counts.tallies.pop(REUSED, 0))
            took = progress.spent
            record = {
                **recorded_command(options.command, self.out),
                "inputs": [to_record(spec, self.out) for spec in self.inputs],
                "input_rows": finished.rows,
                "unique_ids": stage.keeps_ids,
                "counts": asdict(finished.counts),
                "means": _means(stage, finished.counts),
                "cost": cost_of(
                    stage, finished.counts, finished.spent, reused, took["engine_seconds"], finished.gpus, options
                ),
                "seconds": round(took["seconds"], 3),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "software": {**software(), **finished.software},
                # None if all verdicts came from journals: then no jail was started.
                "sandbox": finished.sandbox,
            }
            # What was answered before says nothing about time.
            seconds = None if reused else took["seconds"] - finished.start_seconds
            whole = estimate(sources, finished.rows, finished.counts, seconds, options)
            claim.publish(finished.data, finished.rejected, record)
        return self._summary(record, whole=whole)

    def _summary(
        self, record: Mapping[str, Any], *, already_done: bool = False, whole: Estimate | None = None
    ) -> Summary:
        remarks = self.stage.published(self.out, Counts(**record["counts"]))
        return Summary(self.out, record, already_done, tuple(remarks), whole)

    def _summary_of_slice(self, rows: "RowRun", progress: Progress) -> Summary:
        counts = asdict(rows.run_slice())
        record = {"counts": counts, "input_rows": rows.rows, "seconds": round(progress.spent["seconds"], 3)}
        return Summary(self.out, record, slice=self.options.slice)

    def _sources(self) -> list[Source]:
        record, options = self.stage.input, self.options
        rejects, file_column = options.rejects_bad_rows, options.file_column
        return [
            Source(spec, record, options.columns, options.limit, rejects=rejects, file_column=file_column)
            for spec in self.inputs
        ]

    def _identity(self, sources: Sequence[Source]) -> dict[str, Any]:
        # An absent tool has no key rather than null, so that older outputs keep their identity.
        tools = {"sandbox": self.sandbox, "index": self.index, "reward_model": self.stage.scorer}
        return {
            "stage": self.stage.name,
            "version": self.stage.version,
            "options": self.stage.identity(),
            "inputs": {str(number): source.fingerprint for number, source in enumerate(sources)},
            **self.options.identity(),
            "engine": self.engine.identity() if self.engine else None,
            **{name: tool.identity() for name, tool in tools.items() if tool},
            **({"code": self.stage.code} if self.stage.code else {}),
            **({"sources": _names(sources)} if self.stage.inputs_apart else {}),
        }


def _names(sources: Sequence[Source]) -> list[str]:
    """A name for each input: that of its directory or file, or all that the user wrote where two have the same."""
    times = Counter(source.name for source in sources)
    return [source.name if times[source.name] == 1 else source.input.spec for source in sources]


def _check_conservation(finished: "Finished") -> None:
    counts = finished.counts
    if counts.finished != finished.rows:
        raise SynthError(
            f"of {finished.rows} input rows {counts.finished} are accounted for "
            f"({counts.produced} produced, {counts.rejected} rejected, {counts.failed} failed): "
            "nothing was published; this is a bug in the stage"
        )


def _means(stage: Stage, counts: Counts) -> dict[str, float]:
    divisors = {name: counts.tallies.get(divisor) for name, divisor in stage.means.items()}
    return {name: round(counts.tallies[name] / divisor, 6) for name, divisor in divisors.items() if divisor}
