"""`synth export`: files from datasets."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synth.cli.commands import with_options
from synth.pipelines.runtime.declared import Only, Option, check, path
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural
from synth.schemas.writing.export import FORMATS, format_of, replacing, write
from synth.schemas.writing.preferences import PREFERENCES, is_preference, preferences
from synth.schemas.writing.shapes import MASKED, PROMPTS, RESPONSES, SHAPE_NAMES, shaped

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.schemas.dataset import Dataset

__all__ = ["export"]

# Most class names listed for a column.
CLASSES_SHOWN = 10


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
            "The rows as they are, or a prompt and its response as trainers read them; tool-calls keeps calls of tools "
            "apart from the text, llama-factory also lists the file in dataset_info.json, and axolotl and tokens say "
            "which parts are not learnt.",
            long="--as",
            choices=(*SHAPE_NAMES, *PREFERENCES),
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
    tokenizer: Annotated[
        str | None,
        Option("The model whose chat template and tokenizer make the tokens of --as tokens.", metavar="MODEL"),
        Only("shape", "tokens"),
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
        if self.shape == "tokens" and self.tokenizer is None:
            raise UsageError("--as tokens needs --tokenizer: the model whose tokens they are")
        if self.shape in MASKED and self.reasoning:
            raise UsageError(f"--reasoning does not go with --as {self.shape}, which says what is learnt of an answer")


@with_options
def export(
    source: Annotated[
        str, typer.Argument(metavar="DIRECTORY", help="Dataset directory, or its URL in an object store.")
    ],
    output: Annotated[str, typer.Argument(metavar="FILE", help="File to write, or - for standard output.")],
    options: ExportOptions,
) -> None:
    """Write a dataset to a JSONL, Parquet or CSV file.

    A value that the format cannot represent, such as bytes in JSONL, is an error that names the column; Parquet can
    represent every value.
    """
    from synth.schemas.reading.inputs import dataset_at

    target = path(output)
    dataset = dataset_at(source)
    if options.where is None:
        _export(dataset, source, target, options)
        return
    with TemporaryDirectory() as scratch:
        matches = dataset.only(options.where, Path(scratch) / "matches")
        _export(matches, f"the rows of {source} that match", target, options)


def _export(dataset: "Dataset", origin: str, target: Path, options: ExportOptions) -> None:
    from synth.schemas.writing.reasoning import with_reasoning
    from synth.schemas.writing.trainer_list import TrainerList

    listing = TrainerList(target) if options.shape == "llama-factory" else None
    columns = options.columns.split(",") if options.columns is not None else ()
    prompt, response = options.prompt_column, options.response_column
    if is_preference(dataset, options.shape, response=response, columns=columns):
        schema, tables = preferences(
            dataset, options.shape, prompt=prompt, response=response, columns=columns, reasoning=options.reasoning
        )
    else:
        schema, tables = shaped(dataset, options.shape, prompt=prompt, response=response, columns=columns)
        if options.reasoning:
            schema, tables = with_reasoning(dataset, options.shape, schema, tables, options.reasoning)
    if options.shape == "axolotl":
        from synth.schemas.writing.masks import with_details

        schema, tables = with_details(schema, tables, origin)
    if options.tokenizer:
        from synth.pipelines.runtime.tokenized import tokenized

        schema, tables = tokenized(schema, tables, options.tokenizer, origin)
    if target == Path("-"):
        form = options.form or "jsonl"
        write(sys.stdout.buffer, "", form, schema, tables, origin)
        sys.stdout.buffer.flush()
    else:
        form = options.form or format_of(target)
        with replacing(target, force=options.force) as file:
            rows = write(file, target.name, form, schema, tables, origin)
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
