"""`synth instag measure`: measures of one tagged dataset, or of two side by side, in 80 columns."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from synth.cli.rendering import BarLine, add_bars, grid, line, literal

if TYPE_CHECKING:
    from synth.pipelines.instag.measure import Measures, Pair

__all__ = ["measure", "page"]

# Cells of the longest bar, for one dataset and for two.
BARS = (32, 8)
LABEL = 22
# Characters shown of a tag.
SHOWN = 40
MOST_TAGS = 20
MOST_PAIRS = 10
# Numbers of tags from this on share a line.
MANY = 25


def measure(
    first: Annotated[str, typer.Argument(metavar="A", help="A tagged dataset: directory, file, glob, or hf:NAME.")],
    second: Annotated[
        str | None, typer.Argument(metavar="[B]", help="A second one to compare with.", show_default=False)
    ] = None,
    tags: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column of the tags: a list of strings, or of objects with `tag`. By default, tags."
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The tags to cover: OUTPUT/vocabulary of `instag normalize`. By default, all tags of A and B.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list with one object for each dataset.")
    ] = False,
) -> None:
    """Show complexity and diversity, the number of tags per query, and the most common tags and pairs of tags."""
    from synth.pipelines.instag.measure import measure as measured
    from synth.schemas.reading.inputs import locate

    specs = [first, *([second] if second else [])]
    measures = measured([locate(spec) for spec in specs], tags, locate(vocabulary) if vocabulary else None)
    if as_json:
        import json
        from dataclasses import asdict

        documents = [{"input": spec, **asdict(each)} for spec, each in zip(specs, measures, strict=True)]
        print(json.dumps(documents, ensure_ascii=False, indent=1))
        return
    from synth.cli.rendering import DataConsole

    console = DataConsole()
    for part in page(specs, measures, vocabulary):
        console.print(part)


def page(specs: Sequence[str], measures: "Sequence[Measures]", vocabulary: str | None) -> Iterator[RenderableType]:
    """The parts of the page; `vocabulary` is the one that the user named, if any."""
    for name, spec in zip("AB", specs, strict=False):
        yield Text.assemble((f"{name}  " if len(specs) > 1 else "", "bold cyan"), (literal(spec), "bold"))
    yield _facts(measures, vocabulary)
    if not measures[0].tags:
        return
    unit, units = ("query", "queries") if measures[0].unit == "query" else ("row", "rows")
    yield Text(f"\ntags per {unit}, and the number of {units}", "bold")
    yield _bars(_sizes(measures))
    yield Text("\nmost common tags, and the number of rows", "bold")
    yield _bars(_tags(measures))
    if measures[0].pairs:
        yield Text("\nmost common pairs, and the number of rows", "bold")
        yield _pairs(measures)


def _facts(measures: "Sequence[Measures]", vocabulary: str | None) -> Table:
    table = _table()
    if len(measures) > 1:
        table.add_row("", *(Text(name, "bold cyan") for name in "AB"))
    for name, facts in (
        ("rows", [f"{each.rows:,}" for each in measures]),
        ("without tags", [f"{each.untagged:,} ({each.untagged / each.rows:.1%})" for each in measures]),
        ("queries", [f"{each.queries:,}" if each.unit == "query" else "one per row" for each in measures]),
        ("distinct tags", [f"{each.distinct:,}" for each in measures]),
        ("complexity", [f"{each.complexity:.2f} tags per {each.unit}" for each in measures]),
        ("diversity", [_coverage(each) for each in measures]),
    ):
        table.add_row(name, *facts)
    whole = vocabulary or ("all that occur" if len(measures) == 1 else "all of A and B")
    table.add_row("vocabulary", Text(literal(f"{measures[0].vocabulary:,} tags, {whole}"), overflow="fold"))
    return table


def _coverage(measures: "Measures") -> str:
    if measures.diversity is None:
        return "no tags"
    beyond = measures.distinct - measures.covered
    return f"{measures.diversity:.1%}" + (f", and {beyond:,} others" if beyond else "")


def _sizes(measures: "Sequence[Measures]") -> Iterator[BarLine]:
    """For each number of tags, the number of queries."""
    sizes = {size for each in measures for size in each.tags_per_query}
    for size in range(min(sizes), min(max(sizes), MANY - 1) + 1):
        yield Text(f"{size}"), [(each.tags_per_query.get(size, 0), each.queries) for each in measures]
    if max(sizes) >= MANY:
        more = [sum(n for size, n in each.tags_per_query.items() if size >= MANY) for each in measures]
        yield Text(f"{MANY} to {max(sizes):,}"), [(n, each.queries) for n, each in zip(more, measures, strict=True)]


def _tags(measures: "Sequence[Measures]") -> Iterator[BarLine]:
    for index, tag in enumerate(measures[0].tags[:MOST_TAGS]):
        yield _shown(tag.tag), [(each.tags[index].rows, each.rows) for each in measures]


def _bars(lines: Iterator[BarLine]) -> Table:
    """Bars scaled so that the largest share fills the width."""
    counted = list(lines)
    longest = max(count / whole if whole else 0.0 for _, counts in counted for count, whole in counts)
    inputs = len(counted[0][1])
    table = _table()
    if inputs > 1:
        table.add_row("", *(Text(name, "cyan") for name in ("A", "", "", "B")))
    add_bars(table, counted, BARS[inputs - 1], longest or 1.0)
    return table


def _pairs(measures: "Sequence[Measures]") -> Table:
    table = _table()
    table.columns[0].no_wrap = False
    table.columns[0].max_width = 60 - 20 * (len(measures) - 1)
    for _ in range(3 * len(measures)):
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(Text(name, "dim") for _ in measures for name in ("rows", "share", "lift")))
    for index, pair in enumerate(measures[0].pairs[:MOST_PAIRS]):
        label = Text.assemble(_shown(pair.first), " → ", _shown(pair.second), overflow="fold")
        table.add_row(label, *(cell for each in measures for cell in _figures(each.pairs[index])))
    return table


def _figures(pair: "Pair") -> tuple[str, str, str]:
    if pair.confidence is None or pair.lift is None:
        return f"{pair.rows:,}", "-", "-"
    return f"{pair.rows:,}", f"{pair.confidence:.1%}", f"{pair.lift:,.2f}"


def _table() -> Table:
    return grid("cyan", gap=1, widest=LABEL)


def _shown(tag: str) -> Text:
    return Text(line(tag[:SHOWN]) + "…" * (len(tag) > SHOWN))
