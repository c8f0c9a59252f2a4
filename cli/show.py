"""`synth show`: rows of a dataset or of any input file."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.readable import json_text
from synth.cli.rendering import DataConsole, literal, provenance
from synth.cli.row_view import row_panel, with_reason_first
from synth.cli.summaries import commonest
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.dataset import Dataset
    from synth.schemas.reading.formats import Batch
    from synth.schemas.reading.inputs import Input

__all__ = ["show"]

Row = dict[str, Any]


def show(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Dataset directory, file, glob, URL of an object store, or hf:NAME.")
    ],
    number: Annotated[int, typer.Option("-n", "--number", min=1, metavar="INTEGER", help="How many rows.")] = 3,
    row: Annotated[str | None, typer.Option(metavar="ID", help="Show the row with this id.")] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="Only rows that meet a condition over the columns, in DuckDB's SQL."),
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B", help="Show these columns, in this order.")] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Show the rejected rows, with reason and detail.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Show long values in full.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each row, with its exact values.")
    ] = False,
) -> None:
    """Show rows of a dataset or of any input file.

    Long values are cut (--full shows them whole), floats are rounded, and nulls and empty values are only named.
    --json prints exact values.
    """
    from synth.cli.inputs import input_to_look_at
    from synth.schemas.errors import UsageError
    from synth.schemas.reading.inputs import locate

    found = input_to_look_at(source)
    if rejected:
        folder = found.dataset.rejected if found.dataset else None
        if folder is None:
            print(f"{source} has no rejected rows", file=sys.stderr)
            return
        found = replace(locate(str(folder.path)), spec=f"{source.rstrip('/')}/{folder.path.name}")
        _print_reasons(found.spec, folder)
    first = next(found.batches(), None)
    names = first.names(0) if first else []
    if not rejected:
        print(literal("  ".join([source, *provenance(found.dataset), ", ".join(names)])), file=sys.stderr)
    chosen = columns.split(",") if columns else None
    for column in chosen or []:
        if first and column != "id" and not first.has(column):
            raise UsageError(f"{found.spec} has no column {column}, only {', '.join(names)}")
    console = DataConsole()
    shown = 0
    for identifier, values in _rows(found, row) if where is None else _meeting(found, row, where):
        if as_json:
            given = {"id": identifier, **values}
            print(json_text({name: given.get(name) for name in chosen or given}))
        else:
            arranged = _arranged(identifier, values, chosen)
            console.print(row_panel(identifier, arranged, full=full, words=_search_terms(values)))
        shown += 1
        if shown == number:
            return
    if not shown:
        _report_none(found, row)


def _rows(found: "Input", row: str | None) -> Iterator[tuple[str, Row]]:
    """Ids and rows in order. A row without an id gets the one that a run over this input would generate."""
    first = 0
    for batch in found.batches() if row is None else _batches_with(found, row):
        batch = batch.by_row
        for index in range(len(batch)):
            values = batch.rows[index] if isinstance(batch.rows, list) else batch.rows.slice(index, 1).to_pylist()[0]
            identifier = str(values["id"]) if "id" in values else f"{found.name}-{first + index}"
            if row in (None, identifier):
                yield identifier, values
        first += len(batch)


def _meeting(found: "Input", row: str | None, condition: str) -> Iterator[tuple[str, Row]]:
    """Ids and rows that meet a condition; how many there are goes to stderr."""
    from tempfile import TemporaryDirectory

    import numpy as np

    from synth.schemas.reading.sources import Source
    from synth.schemas.records import ROW
    from synth.schemas.sql import matching

    with TemporaryDirectory() as folder:
        table = Source(found, ROW, {}, None).table(Path(folder) / "rows")
        met = np.flatnonzero(matching(table, condition).fill_null(False).to_numpy())
        print(f"{len(met):,} of {plural(table.num_rows, 'row')} match", file=sys.stderr)
        for index in met.tolist():
            (values,) = table.slice(index, 1).to_pylist()
            if row in (None, values["id"]):
                yield values["id"], values


def _batches_with(found: "Input", row: str) -> Iterator["Batch"]:
    """The batches that may contain the row; for a dataset with ids, only the row itself."""
    import pyarrow.compute as pc

    from synth.schemas.reading.formats import Batch
    from synth.schemas.storable import is_text

    table = found.dataset.table if found.dataset else None
    if table is None or "id" not in table.column_names or not is_text(table["id"].type):
        yield from found.batches()
    elif (index := pc.index(table["id"], row).as_py()) >= 0:
        yield Batch(found.files[0], index, table.slice(index, 1).to_batches()[0])


def _arranged(identifier: str, values: Row, chosen: list[str] | None) -> Row:
    """The chosen columns, or all but the id (shown as title), with the reason of a rejection first."""
    if chosen:
        return {column: identifier if column == "id" else values.get(column) for column in chosen}
    return {column: value for column, value in with_reason_first(values).items() if column != "id"}


def _search_terms(values: Row) -> Sequence[str]:
    """The search terms that found a document, if it records them."""
    terms = values.get("terms")
    return [term for term in terms if isinstance(term, str)] if isinstance(terms, list) else []


def _print_reasons(name: str, rejected: "Dataset") -> None:
    """Print one line to stderr: the number of rejected rows by reason, the most common first."""
    import pyarrow.compute as pc

    reasons = {item["values"]: item["counts"] for item in pc.value_counts(rejected.table["reason"]).to_pylist()}
    listed = ", ".join(f"{reason} {count:,}" for reason, count in commonest(reasons))
    print(f"{name}  {plural(rejected.table.num_rows, 'row')}  {listed}", file=sys.stderr)


def _report_none(found: "Input", row: str | None) -> None:
    from synth.schemas.errors import InputError

    if row is None:
        print(f"no row of {found.spec} to show", file=sys.stderr)
        return
    rejected = found.dataset.rejected if found.dataset else None
    is_rejected = rejected is not None and row in (values["id"] for values in rejected.rows(["id"]))
    raise InputError(f"{found.spec} has no row {row}" + (": it was rejected, so add --rejected" if is_rejected else ""))
