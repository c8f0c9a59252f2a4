"""Common to all charts: size, colours and the styles of series.

A chart is a Vega-Lite specification in colours that the page's stylesheet defines as `var(--…)`. It fits on a phone.
Series differ by colour and by dash or position, so they are distinct in greyscale, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MOST_SERIES", "SOFT", "WIDTH", "Chart", "Name", "colour", "colours", "dashes", "framed", "quantity"]

Chart = dict[str, Any]

WIDTH = 440
HEIGHT = 240
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 3], [3, 1])
MOST_SERIES = len(DASHES)
COLOURS = [f"var(--series-{number})" for number in range(1, MOST_SERIES + 1)]
PLAIN = "var(--plain)"
SOFT = "var(--soft)"
CONFIG = {
    "background": None,
    "view": {"stroke": None},
    "font": "sans-serif",
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "gridColor": "var(--line)",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelFontSize": 12,
        "labelLimit": 150,
        "labelOverlap": "greedy",
        "labelSeparation": 10,
        "labelPadding": 4,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "tickCount": 5,
        "aria": False,
    },
    "legend": {
        "title": None,
        "orient": "top",
        "offset": 8,
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "labelLimit": 170,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2.5,
        "columnPadding": 16,
        "aria": False,
    },
}


class Name(str):
    """The name of an input. Its `position` among the inputs determines its colour and dash in all charts."""

    position: int

    def __new__(cls, name: str, position: int) -> "Name":
        made = super().__new__(cls, name)
        made.position = position
        return made


def framed(
    values: Sequence[Mapping[str, Any]], view: Mapping[str, Any], height: float = HEIGHT, legend: Sequence[str] = ()
) -> Chart:
    """A chart of `values`; `height` is in pixels and includes the axes but not the `legend` of several series."""
    return {
        "data": {"values": list(values)},
        "width": WIDTH,
        "height": round(height + _legend_height(legend)),
        "autosize": {"type": "fit", "contains": "padding"},
        # The reader's font may be wider than the one used to measure labels.
        "padding": {"left": 10, "right": 6, "top": 4, "bottom": 4},
        "config": CONFIG,
        **view,
    }


def colour(series: str) -> str:
    """The colour of an input; a plain one for other series."""
    return COLOURS[series.position] if isinstance(series, Name) else PLAIN


def colours(series: Sequence[str], of: Sequence[str] = (), symbol: str = "square") -> dict[str, Any]:
    """The colours of the series, by default their own, and a legend."""
    legend = {"columns": _legend_columns(series), "symbolType": symbol, "symbolSize": 300 if symbol == "stroke" else 90}
    scale = {"domain": list(series), "range": list(of) or [colour(name) for name in series]}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": legend}


def dashes(series: Sequence[Name]) -> dict[str, Any]:
    """The dashes of the series, merged into the legend of `colours`."""
    scale = {"domain": list(series), "range": [DASHES[name.position] for name in series]}
    return {"field": "series", "type": "nominal", "scale": scale}


def quantity(field: str, **settings: Any) -> dict[str, Any]:
    """The encoding of a numeric field."""
    return {"field": field, "type": "quantitative", **settings}


def _legend_height(series: Sequence[str]) -> int:
    return 12 + 17 * -(-len(series) // _legend_columns(series)) if len(series) > 1 else 0


def _legend_columns(series: Sequence[str]) -> int:
    return max(1, (WIDTH - 60) // (42 + 7 * min(24, max(map(len, series)))))
