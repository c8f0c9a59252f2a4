"""Runs a table stage: memory-mapped tables in, shards out. On resume it starts over with its `work` folder."""

import shutil
from collections.abc import Sequence

import pyarrow as pa

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.lines import rejected_schema
from synth.pipelines.runtime.observation import Observation, Observer
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.rows import Finished
from synth.pipelines.runtime.stage import Output, TableStage, row_schemas
from synth.schemas.layout import Workplace

__all__ = ["run_table_stage"]


def run_table_stage(
    stage: TableStage,
    tables: Sequence[pa.Table],
    sources: Sequence[str],
    workplace: Workplace,
    options: Options,
    observe: Observer,
) -> Finished:
    """One pass over `tables`."""
    # An interrupted pass is repeated; expensive intermediate results are in `work` or `kept`.
    shutil.rmtree(workplace.shards)
    workplace.shards.mkdir()
    inputs, outputs = row_schemas(stage, tables[0])
    schema = rejected_schema(inputs, outputs, raw=options.rejects_bad_rows, asks=False)
    rows = sum(table.num_rows for table in tables)

    def report(counts: Counts, prepared: int) -> None:
        observe(Observation(rows, counts, prepared))

    output = Output(outputs, schema, workplace, options.seed, stage.name, sources, report, stage.parts)
    try:
        stage.process(tables, output)
        data, rejected = output.close()
    except BaseException:
        output.abandon()
        raise
    return Finished(rows, output.counts, data, rejected)
