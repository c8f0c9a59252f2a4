"""What came out of an experiment: JSON Lines, a table, and a chart that shows every student."""

import json
from collections.abc import Sequence
from math import log2
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from benchmarks.contest import print_table, say
from benchmarks.learning.drawing import write
from synth.cli.report.frame import WIDTH, Chart, framed, quantity

__all__ = ["LineFit", "Result", "line_fit", "of_amounts", "of_sets", "table", "tell"]

BLUE, GREY = "var(--series-1)", "var(--soft)"
SHARE = {"format": ".2~%"}


class Result(NamedTuple):
    """A student: the set that it was trained on, its seed, the rows of the set, and its score, a share."""

    arm: str
    seed: int
    rows: int
    score: float


class LineFit(NamedTuple):
    """Shares as a straight line over the logarithm of amounts, and R², the part of their variance that it explains."""

    at_one: float
    per_doubling: float
    r2: float

    @property
    def described(self) -> str:
        return f"log-linear fit: {100 * self.per_doubling:+.1f} points for each doubling, R² = {self.r2:.2f}"


def line_fit(points: Sequence[tuple[float, float]]) -> LineFit:
    """Least squares. `points` are amounts, at least two different ones, all positive, with shares."""
    xs, ys = [log2(x) for x, _ in points], [y for _, y in points]
    x_mean, y_mean = mean(xs), mean(ys)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)
    at_one = y_mean - slope * x_mean
    left = sum((y - at_one - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    spread = sum((y - y_mean) ** 2 for y in ys)
    return LineFit(at_one, slope, 1 - left / spread if spread else 1.0)


def tell(
    name: str,
    measure: str,
    results: Sequence[Result],
    out: Path,
    drawn: Path | None,
    chart: Chart,
    told: Sequence[str] = (),
) -> None:
    """Write `results.jsonl` and `chart.svg` to the directory `out`, the chart also to `drawn`, and print a table."""
    lines = [json.dumps({"experiment": name, "measure": measure, **result._asdict()}) + "\n" for result in results]
    (out / "results.jsonl").write_text("".join(lines))
    for file in (out / "chart.svg", *([drawn] if drawn else [])):
        write(chart, f"{name}: {measure}", file)
        say(f"{file}: drawn")
    print_table(f"{name}: {measure}", ["trained on", "rows", "mean", "lowest", "highest"], table(results))
    for line in told:
        print(line)


def table(results: Sequence[Result]) -> list[list[str]]:
    """A line for each set, with the spread of its students."""
    lines = []
    for arm, students in _by_arm(results).items():
        scores = [student.score for student in students]
        shares = [f"{share:.1%}" for share in (mean(scores), min(scores), max(scores))]
        lines.append([arm, f"{students[0].rows:,}", *shares])
    return lines


def of_sets(results: Sequence[Result]) -> Chart:
    """A line for each set: its students as points, and their mean as a bar."""
    arms = _by_arm(results)
    axis = {"title": None, "domain": False, "ticks": False, "labelColor": "var(--ink)", "labelLimit": 200}
    y = {"field": "arm", "type": "nominal", "sort": list(arms), "axis": axis}
    means = [{"arm": arm, "mean": mean(student.score for student in students)} for arm, students in arms.items()]
    layers = [
        {
            "data": {"values": means},
            "mark": {"type": "bar", "color": BLUE, "opacity": 0.35},
            "encoding": {"y": y, "x": quantity("mean", axis={"title": "share", **SHARE})},
        },
        {"mark": {"type": "point", "filled": True, "size": 45, "color": BLUE}, "encoding": {"y": y, "x": _score()}},
    ]
    return framed(_values(results), {"layer": layers, "width": WIDTH}, 48 + 26 * len(arms))


def of_amounts(results: Sequence[Result], unit: str) -> Chart:
    """Students by the amount of data on a logarithmic axis, and the straight line through them; none at zero."""
    some = [result for result in results if result.rows]
    amounts = sorted({result.rows for result in some})
    axis = {"title": unit, "grid": False, "values": amounts}
    x = quantity("rows", scale={"type": "log", "nice": False}, axis=axis)
    y = quantity("score", axis={"title": "share", **SHARE})
    layers: list[Chart] = [
        {"mark": {"type": "point", "filled": True, "size": 45, "color": BLUE}, "encoding": {"x": x, "y": y}}
    ]
    if len(amounts) > 1:
        fit = line_fit([(result.rows, result.score) for result in some])
        ends = [{"rows": n, "score": fit.at_one + fit.per_doubling * log2(n)} for n in (amounts[0], amounts[-1])]
        mark = {"type": "line", "color": GREY, "strokeDash": [6, 3]}
        layers.append({"data": {"values": ends}, "mark": mark, "encoding": {"x": x, "y": y}})
    return framed(_values(some), {"layer": layers})


def _score() -> Chart:
    return quantity("score")


def _values(results: Sequence[Result]) -> list[Chart]:
    return [result._asdict() for result in results]


def _by_arm(results: Sequence[Result]) -> dict[str, list[Result]]:
    arms: dict[str, list[Result]] = {}
    for result in results:
        arms.setdefault(result.arm, []).append(result)
    return arms
