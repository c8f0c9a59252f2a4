"""`synth import` and `synth export`: datasets from files, and files from datasets."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from synth.cli.commands import Inputs, Output, with_options
from synth.cli.running import is_asked_why
from synth.pipelines.runtime.declared import path
from synth.pipelines.runtime.options import ReadingOptions
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.schemas.layout import Workplace
    from synth.schemas.reading.bad_rows import Reading
    from synth.schemas.reading.sources import Source
    from synth.schemas.shards import Shard
    from synth.schemas.writing.publication import OutputClaim

__all__ = ["export", "import_"]

# Class names listed for a column.
CLASSES_SHOWN = 10


@with_options
def import_(sources: Inputs, output: Output, reading: ReadingOptions) -> None:
    """Convert any inputs to a dataset directory.

    All columns are kept; rows without ids get them.
    """
    from synth.schemas.reading.joining import agree, joined
    from synth.schemas.reading.sources import Source
    from synth.schemas.records import ROW
    from synth.schemas.writing.publication import OutputClaim, OutputStatus

    opened = [
        Source(
            spec,
            ROW,
            reading.columns,
            reading.limit,
            rejects=reading.rejects_bad_rows,
            file_column=reading.file_column,
        )
        for spec in sources
    ]
    identity = _import_identity(opened)
    if is_asked_why(lambda: OutputStatus.of(output, identity)):
        return
    claim = OutputClaim.open(output, identity, command=sys.argv[1:], fresh=reading.fresh)
    if claim is None:
        print(f"{output} is complete already: nothing to do", file=sys.stderr)
        return
    try:
        agree(opened)
        readings = [source.read(claim.layout.input(number)) for number, source in enumerate(opened)]
        whole = joined(opened, readings)
        _publish(claim, sources, whole)
    except BaseException:
        # An import cannot resume, and a leftover directory would refuse the corrected input as changed.
        shutil.rmtree(claim.layout.path)
        raise
    finally:
        claim.close()
    table, bad = whole.table, whole.bad.num_rows
    rejected = f"; {bad:,} bad rows are in {output}/rejected" if bad else ""
    print(f"{output}: {table.num_rows:,} rows of {', '.join(table.column_names)}{rejected}", file=sys.stderr)


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


def export(
    source: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Dataset directory.", parser=path)],
    output: Annotated[str, typer.Argument(metavar="FILE", help="File to write, or - for standard output.")],
    form: Annotated[
        Literal["jsonl", "parquet", "csv"] | None,
        typer.Option("--format", help="By default from the extension of FILE; .gz and .zst compress."),
    ] = None,
    shape: Annotated[
        Literal["rows", "messages", "sharegpt", "alpaca", "llama-factory"],
        typer.Option(
            "--as",
            help="Rows unchanged, or a prompt and its response in a trainer's format; llama-factory also writes "
            "dataset_info.json.",
        ),
    ] = "rows",
    prompt_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="By default the first of query, question, instruction, prompt.")
    ] = None,
    response_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="By default the first of response, answer, output.")
    ] = None,
    reasoning: Annotated[
        Literal["think", "field"] | None,
        typer.Option(
            help="Put a row's reasoning before its response: within <think> and </think>, or as the field "
            "reasoning_content of the assistant's message. By default it is left out.",
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these columns; with --as rows, in this order.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Write a dataset to a JSONL, Parquet or CSV file.

    Values that a format cannot hold, such as bytes in JSONL, are an error; Parquet holds all.
    """
    from synth.schemas.dataset import Dataset
    from synth.schemas.writing.export import format_of, replacing, write
    from synth.schemas.writing.reasoning import with_reasoning
    from synth.schemas.writing.shapes import shaped
    from synth.schemas.writing.trainer_list import TrainerList

    target = path(output)
    listing = TrainerList(target) if shape == "llama-factory" else None
    dataset = Dataset.open(source)
    chosen = columns.split(",") if columns is not None else ()
    schema, tables = shaped(dataset, shape, prompt=prompt_column, response=response_column, columns=chosen)
    if reasoning:
        schema, tables = with_reasoning(dataset, shape, schema, tables, reasoning)
    if output == "-":
        form = form or "jsonl"
        write(sys.stdout.buffer, "", form, schema, tables, source)
        sys.stdout.buffer.flush()
        _print_classes(schema, form)
        return
    named = form or format_of(target)
    with replacing(target, force=force) as file:
        rows = write(file, target.name, named, schema, tables, source)
    print(f"{target}: {plural(rows, 'row')}", file=sys.stderr)
    _print_classes(schema, named)
    if listing:
        print(f"{listing.path} has it as {listing.add(schema)}", file=sys.stderr)


def _print_classes(schema: "pa.Schema", form: str) -> None:
    """Print the names of classes that the file holds as numbers only."""
    from synth.schemas.features import class_names
    from synth.schemas.writing.export import FORMATS

    for column, names in class_names(schema).items() if not FORMATS[form].class_names else ():
        shown = [f"{number} is {name}" for number, name in enumerate(names[:CLASSES_SHOWN])]
        more = [f"{len(names) - CLASSES_SHOWN:,} more"] if len(names) > CLASSES_SHOWN else []
        print(
            f"{column} holds the numbers of classes: {', '.join(shown + more)}; Parquet has the names", file=sys.stderr
        )


def _publish(claim: "OutputClaim", sources: "Sequence[str]", reading: "Reading") -> None:
    from synth.pipelines.runtime.bad_rows import with_bad_rows
    from synth.pipelines.runtime.counts import Counts
    from synth.pipelines.runtime.lines import rejected_schema
    from synth.pipelines.runtime.rows import Finished

    table = reading.table
    finished = Finished(
        table.num_rows,
        Counts(produced=table.num_rows, outputs=table.num_rows),
        list(_shards(table, claim.layout)),
        [],
    )
    rejected = rejected_schema(table.schema, table.schema, raw=True)
    finished = with_bad_rows(finished, reading.bad, rejected, claim.layout, is_cut=False)
    claim.publish(
        finished.data,
        finished.rejected,
        {
            "command": sys.argv[1:],
            "inputs": list(sources),
            "input_rows": finished.rows,
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
