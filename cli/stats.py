"""`synth stats`: statistics of datasets and the costs of their runs, in counts, quantiles and bars."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synth.cli.rendering import DataConsole, add_bars, grid, line, literal
from synth.cli.summaries import REASONS, commonest, number, run_facts, share, size
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.inspecting.histogram import Spread
    from synth.schemas.inspecting.statistics import ColumnStatistics, Statistics
    from synth.schemas.reading.inputs import Input

__all__ = ["stats"]

LEVELS = " ▁▂▃▄▅▆▇█"
# Characters of a full bar and of a label, and lines of a histogram.
BAR = 16
LABEL = 25
HEIGHT = 2
MOST_VALUES = 8


def stats(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Dataset directories, files, globs, URLs of object stores, or hf:NAME."
        ),
    ],
    as_table: Annotated[
        bool, typer.Option("--table", help="Only a line for each run, in one table with a line for each recipe.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list with one object for each input.")] = False,
) -> None:
    """Summarise datasets: rows, reasons, tokens, columns.

    Columns are shown with histograms of their values or lengths.
    """
    if as_table and as_json:
        raise UsageError("--table and --json: give one of them")
    if as_table:
        from synth.cli.run_table import run_table

        DataConsole().print(run_table(sources))
        return
    from synth.cli.inputs import input_to_look_at
    from synth.cli.progress import reading
    from synth.schemas.inspecting.statistics import statistics

    def counted(found: "Input") -> "Statistics":
        with reading("stats", found) as observe:
            return statistics(found, observe)

    located = [input_to_look_at(source) for source in sources]
    if as_json:
        print(json.dumps([_document(found, counted(found)) for found in located], ensure_ascii=False, indent=1))
        return
    console = DataConsole()
    for index, found in enumerate(located):
        if index:
            console.print()
        console.print(Group(*_page(found, counted(found))))


def _document(found: "Input", counted: "Statistics") -> dict[str, Any]:
    known = ("inputs", "input_rows", "counts", "means", "cost", "seconds", "finished")
    return {
        "input": found.spec,
        "stage": found.run.get("identity", {}).get("stage"),
        **{name: found.run[name] for name in known if name in found.run},
        **asdict(counted),
    }


def _page(found: "Input", counted: "Statistics") -> Iterator[RenderableType]:
    run = found.run
    yield Text(literal(found.spec), "bold")
    facts = grid("cyan")
    files = "shard" if found.dataset else "file"
    facts.add_row("rows", f"{counted.rows:,} in {plural(counted.files, files)}, {size(counted.bytes)}")
    for name, fact in run_facts(run):
        facts.add_row(name, Text(literal(fact)))
    yield facts
    for kind, title in REASONS.items():
        if reasons := run.get("counts", {}).get(kind):
            whole = run.get("input_rows") if kind != "output_reasons" else None
            yield Text(f"\n{title} {'outputs' if kind == 'output_reasons' else 'input rows'}", "dim")
            yield _bars(reasons, whole or sum(reasons.values()))
    if counted.columns:
        yield ""
        nulls = [column.name for column in counted.columns if column.nulls == counted.rows > 0]
        yield _columns([column for column in counted.columns if column.name not in nulls], counted.rows)
        if nulls:
            yield Text(f"null in every row: {literal(', '.join(nulls))}", "dim")


def _columns(columns: Sequence["ColumnStatistics"], rows: int) -> Table:
    """A row for each column: its name, type and number of distinct values, next to its histogram or values."""
    table = grid(widest=LABEL)
    for column in columns:
        distinct = "" if column.distinct is None else f", {column.distinct:,} distinct"
        name = Text(literal(column.name), "cyan").append(f"\n{column.type}{distinct}", "dim")
        table.add_row(name, _values(column, rows))
    return table


def _values(column: "ColumnStatistics", rows: int) -> RenderableType:
    from synth.schemas.inspecting.histogram import BINS

    notes = []
    if column.nulls:
        notes.append(f"{plural(column.nulls, 'null')}{share(column.nulls, rows)}")
    if column.not_finite:
        notes.append(f"{column.not_finite:,} NaN or infinite")
    if column.values:
        table = _bars(column.values, rows)
        if notes:
            table.add_row(Text(", ".join(notes), "dim"))
        return table
    if not column.spread:
        return Text("\n".join(notes), "dim")
    spread, unit = column.spread, column.unit or ""
    low, high, median, ninth = map(number, (spread.minimum, spread.maximum, spread.median, spread.ninth_decile))
    table = grid()
    table.columns[0].min_width = BINS
    lines = [f"{low} {unit}".rstrip(), *notes]
    if low != high:
        scale = ["(log scale)"] if spread.logarithmic else []
        lines = [f"{low} to {high} {unit}".rstrip(), *scale, f"median {median}, 90% {ninth}", *notes]
    table.add_row(_histogram(spread) if low != high else "", "\n".join(lines))
    return table


def _histogram(spread: "Spread") -> Text:
    """The bins as vertical bars; a bin that is not empty has at least the thinnest bar."""
    most = max(spread.bins)
    steps = [-(-count * HEIGHT * 8 // most) for count in spread.bins]
    lines = ("".join(LEVELS[min(max(step - 8 * below, 0), 8)] for step in steps) for below in reversed(range(HEIGHT)))
    return Text("\n".join(lines), "green", no_wrap=True)


def _bars(counts: Mapping[str, int], whole: int) -> Table:
    """The most common values, each with a bar for its share of `whole`."""
    table = grid(widest=LABEL)
    ordered = commonest(counts)
    shown = ((Text(line(value)) if value else Text("(empty)", "dim"), count) for value, count in ordered)
    add_bars(table, ((label, [(count, whole)]) for label, count in islice(shown, MOST_VALUES)), BAR)
    if rest := ordered[MOST_VALUES:]:
        left = sum(count for _, count in rest)
        table.add_row(Text(f"{len(rest)} more", "dim"), "", f"{left:,}", f"{left / whole:.1%}")
    return table
