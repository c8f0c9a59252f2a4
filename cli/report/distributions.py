"""Histograms: one as bars, several as overlaid outlines with the same bins."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from synth.cli.report.frame import Chart, Name, colour, colours, dashes, framed, quantity
from synth.cli.summaries import number
from synth.schemas.inspecting.histogram import Spread

__all__ = ["bin_counts", "distribution"]

MOST_EDGE_LABELS = 6
# Numbers from here on are abbreviated, such as 200k.
LONG_NUMBERS = 100_000


def distribution(spreads: Mapping[Name, Spread], x: str, rows: str) -> Chart:
    """The number of `rows` in each bin; for several inputs, their shares."""
    if len(spreads) > 1:
        return _outlines(spreads, x, f"share of the {rows}")
    return _bars(*next(iter(spreads.items())), x, rows)


def bin_counts(spreads: Mapping[Name, Spread]) -> list[list[str]]:
    """A row per bin: its range and the number of values of each input."""
    bins = zip(*(spread.bins for spread in spreads.values()), strict=True)
    names = _names(next(iter(spreads.values())))
    return [[name, *(f"{count:,}" for count in counts)] for name, counts in zip(names, bins, strict=True)]


def _bars(name: Name, spread: Spread, x: str, rows: str) -> Chart:
    positions, axis = _axis(spread, x)
    values = [
        {"low": low, "high": high, "amount": amount, "caption": f"{bin_name}: {amount:,}"}
        for low, high, amount, bin_name in zip(positions, positions[1:], spread.bins, _names(spread), strict=False)
    ]
    encoding = {
        "x": quantity("low", **axis),
        "x2": {"field": "high"},
        "y": quantity("amount", axis={"title": rows, **_integer_ticks(max(spread.bins))}),
        "y2": {"datum": 0},
        "description": {"field": "caption"},
    }
    mark = {"type": "rect", "color": colour(name), "stroke": "var(--paper)", "strokeWidth": 1}
    return framed(values, {"mark": mark, "encoding": encoding})


def _outlines(spreads: Mapping[Name, Spread], x: str, share: str) -> Chart:
    series = list(spreads)
    bins = []
    corners = []
    for name, spread in spreads.items():
        positions, axis = _axis(spread, x)
        shares = [count / sum(spread.bins) for count in spread.bins]
        captions = [f"{name}, {bin_name}: {share:.1%}" for bin_name, share in zip(_names(spread), shares, strict=True)]
        corners += [{"series": name, "low": low, "share": y} for low, y in zip(positions, [*shares, 0], strict=True)]
        bins += [
            {"series": name, "low": low, "high": high, "share": share, "caption": caption}
            for low, high, share, caption in zip(positions, positions[1:], shares, captions, strict=False)
        ]
    encoding = {
        "x": quantity("low", **axis),
        "y": quantity("share", axis={"title": share, "format": "%"}),
        "color": colours(series, symbol="stroke"),
    }
    layers = [
        {
            "mark": {"type": "rect", "opacity": 0.15},
            "encoding": {"x2": {"field": "high"}, "y2": {"datum": 0}, "description": {"field": "caption"}},
        },
        {
            "data": {"values": corners},
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "aria": False},
            "encoding": {"strokeDash": dashes(series)},
        },
    ]
    return framed(bins, {"layer": layers, "encoding": encoding}, legend=series)


def _names(spread: Spread) -> list[str]:
    """The range of each bin as text."""
    edges = spread.edges
    if _are_integers(edges):
        return [
            number(low) if low >= high - 1 else f"{number(low)} to {number(high - 1)}" for low, high in pairwise(edges)
        ]
    return [f"{number(low)} to {number(high)}" for low, high in pairwise(edges)]


def _axis(spread: Spread, title: str) -> tuple[Sequence[float], dict[str, Any]]:
    """The positions of the bin edges on the axis, and the axis.

    Logarithmic bins are drawn equally wide and labelled by their edges; bins of a single integer are centred on it.
    """
    edges = spread.edges
    axis: dict[str, Any] = {"title": title}
    positions: Sequence[float] = edges
    if spread.logarithmic:
        positions = range(len(edges))
        step = -(-len(edges) // MOST_EDGE_LABELS)
        axis = {
            "title": f"{title} (growing steps)",
            "values": list(range(0, len(edges), step)),
            "labelExpr": f"{[number(edge) for edge in edges]}[datum.value]",
        }
    elif edges[0] == edges[-1]:
        positions = [edges[0] - 0.5, edges[0] + 0.5]
        axis["values"] = edges[:1]
    elif _are_integers(edges) and edges[1] - edges[0] == 1:
        positions = [edge - 0.5 for edge in edges]
        axis |= {"tickMinStep": 1, "format": ",d"}
    elif max(map(abs, edges)) >= LONG_NUMBERS:
        axis["format"] = "~s"
    return positions, {"axis": axis, "scale": {"domain": [positions[0], positions[-1]], "nice": False, "zero": False}}


def _integer_ticks(most: int) -> dict[str, Any]:
    return {"values": list(range(most + 1))} if most < 5 else {"format": "~s" if most >= LONG_NUMBERS else ",d"}


def _are_integers(edges: Sequence[float]) -> bool:
    return all(isinstance(edge, int) for edge in edges)
