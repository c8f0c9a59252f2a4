"""Figures that several chapters have: amounts of several inputs side by side, or one bar for each input."""

from collections.abc import Callable, Mapping

from synth.cli.report.charts import Bar, bars
from synth.cli.report.frame import Name
from synth.cli.report.page import Figure, Table
from synth.cli.report.wording import percent
from synth.cli.summaries import plural

__all__ = ["one_bar_each", "ranking", "shares"]


def ranking(
    title: str,
    head: str,
    labels: Mapping[str, str],
    amounts: Mapping[Name, Mapping[str, float]],
    unit: str,
    *,
    most: int | None = None,
    written: Callable[[float], str] = "{:,}".format,
) -> Figure:
    """A line for each label with a bar for each input, up to `most` lines; the table under it has all of them.

    `amounts` are those of each input by what `labels` are the words for; what an input lacks has no bar.
    """
    items = [
        Bar(labels[key], name, known[key], written(known[key]))
        for key in list(labels)[:most]
        for name, known in amounts.items()
        if key in known
    ]
    rows = [
        [label, *(written(known[key]) if key in known else "" for known in amounts.values())]
        for key, label in labels.items()
    ]
    return Figure(
        title, bars(items, list(amounts), unit), numbers=Table([head, *amounts], rows), note=rarer(head, labels, most)
    )


def shares(
    title: str,
    head: str,
    labels: Mapping[str, str],
    counts: Mapping[Name, Mapping[str, int]],
    wholes: Mapping[Name, int],
    *,
    most: int,
    note: str = "",
) -> Figure:
    """A `ranking` of counts of rows, which of several inputs are drawn as shares of `wholes`."""
    several = len(counts) > 1
    items, rows = [], []
    for place, (key, label) in enumerate(labels.items()):
        known = {name: counted.get(key, 0) for name, counted in counts.items()}
        rows.append([label, *(f"{count:,} ({percent(count, wholes[name])})" for name, count in known.items())])
        for name, count in known.items() if place < most else ():
            share, figure = (
                (count / (wholes[name] or 1), percent(count, wholes[name])) if several else (count, f"{count:,}")
            )
            items.append(Bar(label, name, share, figure))
    chart = bars(items, list(counts), "share of the rows" if several else "rows", share=several)
    return Figure(title, chart, numbers=Table([head, *counts], rows), note=note)


def rarer(head: str, labels: Mapping[str, str], most: int | None) -> str:
    left = len(labels) - (most or len(labels))
    return f"{plural(left, f'rarer {head}')} in the table alone." if left > 0 else ""


def one_bar_each(
    title: str, amounts: Mapping[Name, float], unit: str, written: Callable[[float], str], *, share: bool = False
) -> Figure:
    """A bar for each input."""
    items = [Bar(name, "", amount, written(amount)) for name, amount in amounts.items()]
    return Figure(title, bars(items, [""], unit, share=share))
