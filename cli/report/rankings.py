"""Figures that several chapters use: amounts of several inputs side by side, or one bar per input."""

from collections.abc import Callable, Mapping

from synth.cli.report.charts import Bar, bars
from synth.cli.report.frame import Name
from synth.cli.report.page import Figure, Table
from synth.cli.report.wording import percent
from synth.schemas.phrases import plural

__all__ = ["one_bar_each", "ranking"]


def ranking(
    title: str,
    head: str,
    labels: Mapping[str, str],
    amounts: Mapping[Name, Mapping[str, float]],
    unit: str = "rows",
    *,
    wholes: Mapping[Name, int] | None = None,
    most: int | None = None,
    longest: float | None = None,
    written: Callable[[float], str] = "{:,}".format,
    note: str = "",
) -> Figure:
    """A line per label with a bar per input, up to `most` lines; the table below the chart has all of them.

    `amounts` has the amounts of each input by the keys of `labels`; missing ones have no bar. With `wholes`, the table
    has percentages of them, and several inputs are drawn as shares. The axis suits the `longest` bar, as in `bars`.
    """
    as_shares = wholes is not None and len(amounts) > 1
    items, rows = [], []
    for index, (key, label) in enumerate(labels.items()):
        row = [label]
        for name, known in amounts.items():
            if key not in known:
                row.append("")
                continue
            amount, figure = known[key], written(known[key])
            part = percent(amount, wholes[name]) if wholes else ""
            row.append(f"{figure} ({part})" if part else figure)
            if most is None or index < most:
                length = amount / (wholes[name] or 1) if wholes and as_shares else amount
                items.append(Bar(label, name, length, part if as_shares else figure))
        rows.append(row)
    left = len(labels) - most if most else 0
    rarer = f"{plural(left, f'rarer {head}')} only in the table." if left > 0 else ""
    unit = f"share of the {unit}" if as_shares else unit
    chart = bars(items, list(amounts), unit, share=as_shares, longest=longest)
    return Figure(title, chart, numbers=Table([head, *amounts], rows), note=f"{rarer} {note}".strip())


def one_bar_each(
    title: str, amounts: Mapping[Name, float], unit: str, written: Callable[[float], str], *, share: bool = False
) -> Figure:
    items = [Bar(name, "", amount, written(amount)) for name, amount in amounts.items()]
    numbers = Table(["dataset", unit], [[bar.label, bar.figure] for bar in items])
    return Figure(title, bars(items, [""], unit, share=share), numbers=numbers)
