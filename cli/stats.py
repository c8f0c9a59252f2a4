"""`synth stats`: what datasets hold and what their runs cost, in counts, quantiles and bars."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.summaries import number, run_facts, share, size
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from synth.schemas.inspecting.histogram import Spread
    from synth.schemas.inspecting.statistics import ColumnStatistics, Statistics
    from synth.schemas.reading.inputs import Input

__all__ = ["stats"]

LEVELS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"
# Characters of a whole bar, and lines of a histogram.
BAR = 16
HEIGHT = 2
MOST_VALUES = 8


def stats(
    sources: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Dataset directories, files, globs, or hf:NAME.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object for each input.")] = False,
) -> None:
    """Show what datasets hold: rows, reasons, tokens, columns.

    Of each column the values and lengths are shown, with bars.
    """
    from synth.cli.rendering import DataConsole
    from synth.schemas.inspecting.statistics import statistics
    from synth.schemas.reading.inputs import locate

    located = [locate(source) for source in sources]
    if as_json:
        print(json.dumps([_document(found, statistics(found)) for found in located], ensure_ascii=False, indent=1))
        return
    console = DataConsole()
    for place, found in enumerate(located):
        if place:
            console.print()
        for part in _page(found, statistics(found)):
            console.print(part)


def _document(found: "Input", counted: "Statistics") -> dict[str, Any]:
    from dataclasses import asdict

    run = (found.dataset.run if found.dataset else None) or {}
    known = ("inputs", "input_rows", "counts", "means", "cost", "seconds", "finished")
    return {
        "input": found.spec,
        "stage": run.get("identity", {}).get("stage"),
        **{name: run[name] for name in known if name in run},
        **asdict(counted),
    }


def _page(found: "Input", counted: "Statistics") -> "Iterator[RenderableType]":
    from rich.text import Text

    from synth.cli.rendering import literal

    run = (found.dataset.run if found.dataset else None) or {}
    yield Text(literal(found.spec), "bold")
    facts = _grid(style="cyan")
    files = "shard" if found.dataset else "file"
    facts.add_row("rows", f"{counted.rows:,} in {plural(counted.files, files)}, {size(counted.bytes)}")
    for name, fact in run_facts(run):
        facts.add_row(name, Text(literal(fact)))
    yield facts
    counts = run.get("counts", {})
    for title, reasons, whole in (
        ("rejected input rows", counts.get("reasons"), run.get("input_rows")),
        ("failed input rows", counts.get("failures"), run.get("input_rows")),
        ("outputs turned away", counts.get("output_reasons"), None),
    ):
        if reasons:
            yield Text(f"\n{title}", "dim")
            yield _bars(reasons, whole or sum(reasons.values()))
    if counted.columns:
        yield ""
        yield _columns(counted)


def _columns(counted: "Statistics") -> "Table":
    """A row for each column: its name, type and distinct values beside its histogram or its values."""
    from rich.text import Text

    from synth.cli.rendering import literal

    table = _grid()
    table.columns[0].max_width = 25
    for column in counted.columns:
        distinct = "" if column.distinct is None else f", {column.distinct:,} distinct"
        name = Text(literal(column.name), "cyan").append(f"\n{column.type}{distinct}", "dim")
        table.add_row(name, _values(column, counted.rows))
    return table


def _values(column: "ColumnStatistics", rows: int) -> "RenderableType":
    from rich.text import Text

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
    table = _grid()
    if column.spread:
        spread, unit = column.spread, column.unit or ""
        low, high, median, ninth = map(number, (spread.minimum, spread.maximum, spread.median, spread.ninth_decile))
        span = f"{low} to {high} {unit}" if low != high else f"{low} {unit}"
        told = [span.rstrip(), f"median {median}, 90% {ninth}" if low != high else "", *notes]
        if spread.logarithmic:
            told.insert(1, "(log scale)")
        table.columns[0].min_width = BINS
        table.add_row(_histogram(spread) if low != high else "", "\n".join(line for line in told if line))
    elif notes:
        table.add_row(Text("\n".join(notes), "dim"))
    return table


def _histogram(spread: "Spread") -> "Text":
    """The bins as bars upwards; a bin that holds anything shows at least the thinnest bar."""
    from rich.text import Text

    most = max(spread.bins)
    steps = [-(-count * HEIGHT * 8 // most) for count in spread.bins]
    lines = ("".join(LEVELS[min(max(step - 8 * below, 0), 8)] for step in steps) for below in reversed(range(HEIGHT)))
    return Text("\n".join(lines), "green", no_wrap=True)


def _bars(counts: Mapping[str, int], whole: int) -> "Table":
    """The commonest values, each with a bar as long as its share of `whole`."""
    from rich.text import Text

    from synth.cli.rendering import literal

    table = _grid()
    table.columns[0].max_width = 25
    table.columns[1].no_wrap = True
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    for value, count in ordered[:MOST_VALUES]:
        shown = Text(literal(value).replace("\n", "\\n")) if value else Text("(empty)", "dim")
        table.add_row(shown, Text(_bar(count / whole), "green"), f"{count:,}", f"{count / whole:.1%}")
    rest = ordered[MOST_VALUES:]
    if rest:
        left = sum(count for _, count in rest)
        table.add_row(Text(f"{len(rest)} more", "dim"), "", f"{left:,}", f"{left / whole:.1%}")
    return table


def _bar(share: float) -> str:
    eighths = max(1, round(share * BAR * 8))
    return ("█" * (eighths // 8) + PARTS[eighths % 8]).ljust(BAR)


def _grid(style: str = "") -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style=style, no_wrap=True, overflow="ellipsis")
    table.add_column()
    return table
