"""`synth import` and `synth export`: datasets from files, and files from datasets."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from synth.cli.commands import Inputs, Output, with_options
from synth.cli.running import is_asked_why
from synth.pipelines.runtime.declared import Option, check, path
from synth.pipelines.runtime.options import ReadingOptions
from synth.schemas.phrases import plural
from synth.schemas.writing.export import FORMATS, format_of, replacing, write
from synth.schemas.writing.shapes import PROMPTS, RESPONSES, SHAPE_NAMES, shaped

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.schemas.layout import Workplace
    from synth.schemas.reading.bad_rows import Reading
    from synth.schemas.reading.sources import Source
    from synth.schemas.shards import Shard
    from synth.schemas.writing.publication import OutputClaim

__all__ = ["export", "import_"]

# Most class names listed for a column.
CLASSES_SHOWN = 10


@with_options
def import_(sources: Inputs, output: Output, reading: ReadingOptions) -> None:
    """Convert any inputs to a dataset directory.

    It has all columns of the inputs, and generated ids for inputs without ids.
    """
    from synth.schemas.reading.joining import concatenated, unify_columns
    from synth.schemas.reading.sources import Source
    from synth.schemas.records import ROW
    from synth.schemas.writing.publication import OutputClaim, OutputStatus

    rejects, file_column = reading.rejects_bad_rows, reading.file_column
    opened = [
        Source(spec, ROW, reading.columns, reading.limit, rejects=rejects, file_column=file_column) for spec in sources
    ]
    identity = _import_identity(opened)
    if is_asked_why(lambda: OutputStatus.of(output, identity)):
        return
    claim = OutputClaim.open(output, identity, command=sys.argv[1:], fresh=reading.fresh, stale=reading.stale)
    if claim is None:
        print(f"{output} is complete already: nothing to do", file=sys.stderr)
        return
    try:
        unify_columns(opened)
        readings = [source.read(claim.layout.input(number)) for number, source in enumerate(opened)]
        whole = concatenated(opened, readings)
        _publish(claim, sources, whole)
    except BaseException:
        # There is nothing to resume, and leftovers would make a corrected input look stale.
        shutil.rmtree(claim.layout.path)
        raise
    finally:
        claim.close()
    table, bad = whole.table, whole.bad.num_rows
    rejected = f"; {plural(bad, 'bad row')} in {output}/rejected" if bad else ""
    print(f"{output}: {plural(table.num_rows, 'row')} of {', '.join(table.column_names)}{rejected}", file=sys.stderr)


def _import_identity(sources: "Sequence[Source]") -> dict[str, Any]:
    contents = [source.input.digest for source in sources]
    names = [source.name for source in sources]
    (first, *_) = sources
    identity: dict[str, Any] = {
        "stage": "import",
        "input": contents if len(contents) > 1 else contents[0],
        "name": names if len(names) > 1 else names[0],
        "columns": dict(first.columns),
        "limit": first.limit,
    }
    if first.rejects:
        identity["bad_rows"] = "reject"
    if first.file_column:
        identity["file_column"] = first.file_column
        identity["files"] = [list(source.input.labels.values()) for source in sources]
    return identity


@dataclass(frozen=True)
class ExportOptions:
    """What to export of a dataset, and in which form."""

    form: Annotated[
        str | None,
        Option("By default that of the file's extension; .gz and .zst compress.", long="--format", choices=FORMATS),
    ] = None
    shape: Annotated[
        str,
        Option(
            "The rows as they are, or a prompt and its response as trainers read them; llama-factory also lists the "
            "file in dataset_info.json.",
            long="--as",
            choices=SHAPE_NAMES,
        ),
    ] = "rows"
    prompt_column: Annotated[
        str | None, Option(f"By default the first of {', '.join(PROMPTS)} that exists.", metavar="NAME")
    ] = None
    response_column: Annotated[
        str | None, Option(f"By default the first of {', '.join(RESPONSES)} that exists.", metavar="NAME")
    ] = None
    reasoning: Annotated[
        Literal["think", "field"] | None,
        Option(
            "Put a row's reasoning before its response: within <think> and </think>, or as the field "
            "reasoning_content of the assistant's message. By default it is omitted.",
        ),
    ] = None
    columns: Annotated[
        str | None, Option("Export only these columns; rows as they are have them in this order.", metavar="A,B")
    ] = None
    where: Annotated[
        str | None, Option("Only rows that meet a condition over the columns, in DuckDB's SQL.", metavar="SQL")
    ] = None
    force: Annotated[bool, Option("Replace FILE.")] = False

    def __post_init__(self) -> None:
        check(self)


@with_options
def export(
    source: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Dataset directory.", parser=path)],
    output: Annotated[str, typer.Argument(metavar="FILE", help="File to write, or - for standard output.")],
    options: ExportOptions,
) -> None:
    """Write a dataset to a JSONL, Parquet or CSV file.

    A value that the format cannot represent, such as bytes in JSONL, is an error that names the column; Parquet can
    represent every value.
    """
    from synth.schemas.dataset import Dataset
    from synth.schemas.writing.reasoning import with_reasoning
    from synth.schemas.writing.trainer_list import TrainerList

    target = path(output)
    listing = TrainerList(target) if options.shape == "llama-factory" else None
    dataset = Dataset.open(source)
    if options.where:
        dataset = dataset.only(options.where)
    columns = options.columns.split(",") if options.columns is not None else ()
    schema, tables = shaped(
        dataset, options.shape, prompt=options.prompt_column, response=options.response_column, columns=columns
    )
    if options.reasoning:
        schema, tables = with_reasoning(dataset, options.shape, schema, tables, options.reasoning)
    if output == "-":
        form = options.form or "jsonl"
        write(sys.stdout.buffer, "", form, schema, tables, source)
        sys.stdout.buffer.flush()
    else:
        form = options.form or format_of(target)
        with replacing(target, force=options.force) as file:
            rows = write(file, target.name, form, schema, tables, source)
        print(f"{target}: {plural(rows, 'row')}", file=sys.stderr)
    for line in () if FORMATS[form].class_names else _class_numbers(schema):
        print(line, file=sys.stderr)
    if listing:
        print(f"{listing.path} lists it as {listing.add(schema)}", file=sys.stderr)


def _class_numbers(schema: "pa.Schema") -> Iterator[str]:
    """The class names of numbers, one line per column."""
    from synth.schemas.features import class_names

    for column, names in class_names(schema).items():
        shown = [f"{number} is {name}" for number, name in enumerate(names[:CLASSES_SHOWN])]
        more = [f"{len(names) - CLASSES_SHOWN:,} more"] if len(names) > CLASSES_SHOWN else []
        yield f"{column} has class numbers: {', '.join(shown + more)}; Parquet has the names"


def _publish(claim: "OutputClaim", sources: "Sequence[str]", reading: "Reading") -> None:
    from synth.pipelines.runtime.bad_rows import with_bad_rows
    from synth.pipelines.runtime.counts import Counts
    from synth.pipelines.runtime.lines import rejected_schema
    from synth.pipelines.runtime.rows import Finished

    table, rows = reading.table, reading.table.num_rows
    finished = Finished(rows, Counts(produced=rows, outputs=rows), list(_shards(table, claim.layout)), [])
    rejected = rejected_schema(table.schema, table.schema, raw=True)
    finished = with_bad_rows(finished, reading.bad, rejected, claim.layout, is_cut=False)
    claim.publish(
        finished.data,
        finished.rejected,
        {
            "command": sys.argv[1:],
            "inputs": list(sources),
            "input_rows": finished.rows,
            "unique_ids": True,
            "counts": asdict(finished.counts),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


def _shards(table: "pa.Table", workplace: "Workplace") -> "Iterator[Shard]":
    from synth.schemas.shards import ROWS_PER_SHARD, ShardWriter

    for number, start in enumerate(range(0, table.num_rows, ROWS_PER_SHARD)):
        with ShardWriter(workplace.data(number), table.schema) as writer:
            writer.write(table.slice(start, ROWS_PER_SHARD))
            yield writer.close()
