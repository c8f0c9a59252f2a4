"""`synth schema`: the record types, the columns of a record type or an input, or what a stage reads and writes."""

from typing import TYPE_CHECKING, Annotated

import typer

from synth.pipelines.recipes import STAGES

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table

    from synth.cli.rendering import DataConsole
    from synth.schemas.reading.inputs import Input

__all__ = ["schema"]


def schema(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|STAGE|INPUT]", help="A record type, a stage's command such as `instag tag`, or any input."
        ),
    ] = None,
) -> None:
    """List the record types, or show the columns of an input, or the input, options and output of a stage."""
    from synth.cli.rendering import DataConsole, literal, provenance
    from synth.schemas.records import RECORDS

    console = DataConsole()
    records = {record.name: record for record in RECORDS}
    name = " ".join(words or ())
    if not name:
        table = _table("record", "description")
        for record in RECORDS:
            table.add_row(record.name, record.doc)
        console.print(table)
    elif name in records:
        console.print(f"{name}: {records[name].doc}")
        console.print(_columns(records[name].schema))
    elif name in STAGES:
        _show_stage(name, console)
    else:
        found = _located(name, list(records))
        console.print(literal("  ".join([name, *provenance(found.dataset)])))
        console.print(_columns(_schema_of(found)))


def _show_stage(name: str, console: "DataConsole") -> None:
    from synth.cli.rendering import literal
    from synth.pipelines.recipes import stage_named
    from synth.pipelines.runtime.facts import help_text, needs, records, stage_options, summary, synopsis, usage

    stage = stage_named(name)
    console.print(f"synth {name} {usage(stage)}: {literal(summary(stage))}", markup=False)
    if needed := " and ".join(needs(stage)):
        console.print(f"needs {needed}", style="dim")
    for side, verb in (("input", "reads"), ("output", "writes")):
        for condition, record in records(stage, side):
            console.print(f"\n{' '.join(filter(None, (verb, condition)))}: {record.name}", style="bold")
            console.print(_columns(record.schema))
    table = _table("option", "what it does")
    arguments, options = stage_options(stage)
    for one in (*arguments, *options):
        table.add_row(literal(synopsis(one)), literal(help_text(one)))
    console.print()
    console.print(table)
    console.print("\n" + "\n".join(stage.commands), markup=False, soft_wrap=True)


def _located(name: str, records: list[str]) -> "Input":
    from synth.schemas.errors import InputError
    from synth.schemas.reading.inputs import locate

    try:
        return locate(name)
    except InputError as error:
        if "/" in name or "." in name:
            raise
        raise InputError(f"{error}, and no record type has that name, only {', '.join(records)}") from error


def _schema_of(found: "Input") -> "pa.Schema":
    from synth.schemas.reading.inference import columns_of, declared_schema
    from synth.schemas.record import Record

    declared = declared_schema(found)
    return Record("", "", tuple(columns_of(found))).schema if declared is None else declared


def _columns(schema: "pa.Schema") -> "Table":
    """Columns, types and docs: a column's own doc, or that of a record type with exactly these columns."""
    from synth.cli.rendering import literal
    from synth.schemas.records import RECORDS

    known = next((record.schema for record in RECORDS if record.names == schema.names), schema)
    table = _table("column", "type", "description")
    for field in schema:
        doc = (field.metadata or known.field(field.name).metadata or {}).get(b"doc", b"")
        table.add_row(literal(field.name), str(field.type), literal(doc.decode()))
    return table


def _table(*headers: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, header in enumerate(headers):
        table.add_column(header, style="cyan" if number == 0 else "", overflow="fold", no_wrap=number == 0)
    return table
