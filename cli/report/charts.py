"""Bars, curves and squares. Every mark has a caption, shown on hover."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from synth.cli.report.frame import SOFT, WIDTH, Chart, Name, colour, colours, dashes, framed, quantity
from synth.cli.summaries import number

__all__ = ["Bar", "Point", "bars", "curves", "parts", "squares"]

LINE = 20
# Up to this many values of x, all are labelled.
FEW_STEPS = 10
# Up to this many points per series, they are drawn large.
FEW_POINTS = 40
NAMES_AXIS = {"title": None, "domain": False, "ticks": False, "labelColor": "var(--ink)", "labelOverlap": False}


class Bar(NamedTuple):
    """A bar: the label of its line, its series, its length, and the figure at its end."""

    label: str
    series: str
    amount: float
    figure: str


class Point(NamedTuple):
    series: Name
    x: float
    y: float


def bars(
    items: Sequence[Bar], series: Sequence[str], unit: str, *, share: bool = False, longest: float | None = None
) -> Chart:
    """Horizontal bars: a line per label, in order, with the bars of several series side by side.

    The axis suits the `longest` bar, by default of this chart: charts of the same quantity share one.
    """
    several = len(series) > 1
    labels = list(dict.fromkeys(bar.label for bar in items))
    if longest is None:
        longest = max((bar.amount for bar in items), default=0)
    # Leaves room for the figure at the end of the longest bar.
    scale = {"domain": [0, longest * 1.2 or 1], "nice": False}
    encoding: dict[str, Any] = {
        "y": {"field": "label", "type": "nominal", "sort": labels, "axis": NAMES_AXIS},
        "x": quantity("amount", axis={"title": unit, **(_percent_axis(longest) if share else {})}, scale=scale),
        "description": {"field": "caption"},
    }
    if several:
        encoding |= {"yOffset": {"field": "series", "sort": list(series)}, "color": colours(series)}
    values = [
        {**bar._asdict(), "caption": f"{_labelled(bar.label, bar.series, series)}: {bar.figure}"} for bar in items
    ]
    layers = [
        {"mark": {"type": "bar", **({} if several else {"color": colour(series[0])})}},
        {
            "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11, "aria": False},
            "encoding": {"text": {"field": "figure"}, "color": {"value": SOFT}},
        },
    ]
    lines = len(labels) * (0.45 + 0.75 * len(series) if several else 1)
    return framed(values, {"layer": layers, "encoding": encoding}, 48 + LINE * lines, series)


def parts(items: Sequence[Bar], kinds: Mapping[str, str], unit: str) -> Chart:
    """A stacked bar per label: the series of `items`, in the order and the colours of `kinds`."""
    labels = list(dict.fromkeys(bar.label for bar in items))
    encoding = {
        "y": {"field": "label", "type": "nominal", "sort": labels, "axis": NAMES_AXIS},
        "x": quantity("amount", axis={"title": unit, "format": "%"}),
        "color": colours(list(kinds), list(kinds.values())),
        "order": {"field": "position"},
        "description": {"field": "caption"},
    }
    values = [
        {
            **bar._asdict(),
            "position": list(kinds).index(bar.series),
            "caption": f"{bar.label}, {bar.series}: {bar.figure}",
        }
        for bar in items
    ]
    mark = {"type": "bar", "stroke": "var(--paper)", "strokeWidth": 1}
    return framed(values, {"mark": mark, "encoding": encoding}, 56 + 26 * len(labels), list(kinds))


def curves(
    points: Sequence[Point], x: str, y: str, *, logarithmic: str = "", share: bool = False, highest: float = 0
) -> Chart:
    """Lines through points. `logarithmic` names the logarithmic axes, such as `xy`; `share` writes y in percent.

    The axis of y reaches `highest`, if that is above the points: charts of the same quantity share one.
    """
    series = list(dict.fromkeys(point.series for point in points))
    several = len(series) > 1
    steps = sorted({point.x for point in points})
    ticks = {"values": steps} if len(steps) <= FEW_STEPS else {}
    percent = {"format": ".2~%"} if share else {}
    scales: dict[str, dict[str, Any]] = {
        axis: {"type": "log", "nice": False} if axis in logarithmic else {"zero": axis == "y"} for axis in "xy"
    }
    if highest:
        scales["y"]["domainMax"] = highest
    encoding = {
        "x": quantity("x", axis={"title": x, "grid": False, **ticks}, scale=scales["x"]),
        "y": quantity("y", axis={"title": y, **percent}, scale=scales["y"]),
        "description": {"field": "caption"},
        **({"color": colours(series, symbol="stroke")} if several else {}),
    }
    plain = {} if several else {"color": colour(series[0])}
    size = 45 if len(points) <= FEW_POINTS * len(series) else 10
    layers = [
        {
            "mark": {"type": "line", "strokeWidth": 2, "aria": False, **plain},
            "encoding": {"strokeDash": dashes(series)} if several else {},
        },
        {"mark": {"type": "point", "filled": True, "size": size, "opacity": 1, **plain}},
    ]
    figure = "{:.2%}".format if share else number
    values = [
        {**point._asdict(), "caption": f"{_labelled(number(point.x), point.series, series)}: {figure(point.y)}"}
        for point in points
    ]
    return framed(values, {"layer": layers, "encoding": encoding}, legend=series)


def squares(
    name: Name, labels: Sequence[str], cells: Mapping[tuple[str, str], int], unit: str, whole: int, strongest: float
) -> Chart:
    """A square per pair of labels in `cells`, in the colour of the input `name`, stronger for a larger part of `whole`.

    The colour is full at the share `strongest`, so that the squares of several inputs compare.
    """
    position = {"type": "nominal", "scale": {"domain": list(labels)}}
    encoding = {
        "y": {"field": "first", **position, "axis": NAMES_AXIS},
        "x": {"field": "second", **position, "axis": {**NAMES_AXIS, "labelAngle": -60, "labelLimit": 100}},
        "opacity": quantity("amount", scale={"domain": [0, strongest], "range": [0.08, 1]}, legend=None),
        "description": {"field": "caption"},
    }
    values = [
        {"first": one, "second": two, "amount": amount / whole, "caption": f"{one} and {two}: {number(amount)} {unit}"}
        for (one, two), amount in cells.items()
    ]
    mark = {"type": "rect", "color": colour(name), "stroke": "var(--paper)", "strokeWidth": 1}
    return framed(values, {"mark": mark, "encoding": encoding}, WIDTH)


def _percent_axis(longest: float) -> dict[str, Any]:
    """Labels only up to 100%, although the axis is longer."""
    return {"format": ".2~%", **({"values": [0, 0.25, 0.5, 0.75, 1]} if longest > 0.6 else {})}


def _labelled(label: str, series: str, all_series: Sequence[str]) -> str:
    return f"{series}, {label}" if len(all_series) > 1 else label
