"""What came out of an experiment: JSON Lines, a table, and a chart that shows every student."""

import json
from collections.abc import Callable, Sequence
from math import log2
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from benchmarks.contest import print_table, say
from benchmarks.learning.drawing import write
from synth.cli.report.frame import WIDTH, Chart, framed, quantity

__all__ = [
    "LOSSES",
    "SHARES",
    "WORDS",
    "Finding",
    "LineFit",
    "Result",
    "Unit",
    "gap",
    "line_fit",
    "of_amounts",
    "of_sets",
    "table",
    "tell",
]

COLUMNS = ["set", "rows", "mean", "lowest", "highest"]
BLUE, GREY = "var(--series-1)", "var(--soft)"


class Unit(NamedTuple):
    """How scores are written in a table and on the axis of a chart, and whether that begins at zero."""

    title: str
    in_table: str
    on_axis: str
    from_zero: bool = True


SHARES = Unit("share", ".1%", ".2~%")
LOSSES = Unit("nats for each token", ".3f", ".2f", from_zero=False)
WORDS = Unit("words", ".1f", "~f")


class Result(NamedTuple):
    """A student: the set that it was trained on, its seed, the rows of the set, and its score."""

    arm: str
    seed: int
    rows: int
    score: float


class Finding(NamedTuple):
    """What was measured of all students, and in which unit."""

    measure: str
    unit: Unit
    results: Sequence[Result]


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


def gap(finding: Finding, arm: str, other: str) -> str:
    """By how much the students of one set are above those of another that began with the same random weights."""
    scores = {(result.arm, result.seed): result.score for result in finding.results}
    gaps = [score - scores[other, seed] for (name, seed), score in scores.items() if name == arm]
    mean_gap, low, high = (format(value, f"+{finding.unit.in_table}") for value in (mean(gaps), min(gaps), max(gaps)))
    return f"{finding.measure}, {arm} less {other}: {mean_gap} ({low} to {high} by seed)"


def tell(
    name: str,
    findings: Sequence[Finding],
    chart: Callable[[Finding], Chart],
    out: Path,
    drawn: Path | None,
    told: Sequence[str] = (),
) -> None:
    """Write what came out to the directory `out`, and print it as tables.

    `results.jsonl` has the students, `chart.svg` the first finding, which is also written to `drawn`, and
    `chapter.json` the charts and tables of all findings, for `report`.
    """
    lines = [
        json.dumps({"experiment": name, "measure": finding.measure, **result._asdict()}) + "\n"
        for finding in findings
        for result in finding.results
    ]
    (out / "results.jsonl").write_text("".join(lines))
    charts = [chart(finding) for finding in findings]
    for file in (out / "chart.svg", *([drawn] if drawn else [])):
        write(charts[0], f"{name}: {findings[0].measure}", file)
        say(f"{file}: drawn")
    figures = [
        {"title": finding.measure, "chart": drawing, "head": COLUMNS, "rows": table(finding)}
        for finding, drawing in zip(findings, charts, strict=True)
    ]
    (out / "chapter.json").write_text(json.dumps({"title": name, "told": told, "figures": figures}) + "\n")
    for finding in findings:
        print_table(f"{name}: {finding.measure}", COLUMNS, table(finding))
    for line in told:
        print(line)


def table(finding: Finding) -> list[list[str]]:
    """A line for each set, with the spread of its students."""
    lines = []
    for arm, students in _by_arm(finding.results).items():
        scores = [student.score for student in students]
        written = [format(score, finding.unit.in_table) for score in (mean(scores), min(scores), max(scores))]
        lines.append([arm, f"{students[0].rows:,}", *written])
    return lines


def of_sets(finding: Finding) -> Chart:
    """A line for each set: its students as points, and their mean as a bar; as a tick if the axis is not from zero."""
    arms, unit = _by_arm(finding.results), finding.unit
    axis = {"title": None, "domain": False, "ticks": False, "labelColor": "var(--ink)", "labelLimit": 200}
    y = {"field": "arm", "type": "nominal", "sort": list(arms), "axis": axis}
    means = [{"arm": arm, "mean": mean(student.score for student in students)} for arm, students in arms.items()]
    scale = {"zero": unit.from_zero}
    mark = {"type": "bar", "opacity": 0.35} if unit.from_zero else {"type": "tick", "thickness": 2}
    layers = [
        {
            "data": {"values": means},
            "mark": {"color": BLUE, **mark},
            "encoding": {"y": y, "x": quantity("mean", axis=_axis(unit), scale=scale)},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 45, "color": BLUE},
            "encoding": {"y": y, "x": quantity("score", scale=scale)},
        },
    ]
    return framed(_values(finding.results), {"layer": layers, "width": WIDTH}, 48 + 26 * len(arms))


def of_amounts(finding: Finding, amounts_of: str) -> Chart:
    """Students by the amount of data on a logarithmic axis, and the straight line through them; none at zero."""
    some = [result for result in finding.results if result.rows]
    amounts = sorted({result.rows for result in some})
    axis = {"title": amounts_of, "grid": False, "values": amounts}
    x = quantity("rows", scale={"type": "log", "nice": False}, axis=axis)
    y = quantity("score", axis=_axis(finding.unit))
    layers: list[Chart] = [
        {"mark": {"type": "point", "filled": True, "size": 45, "color": BLUE}, "encoding": {"x": x, "y": y}}
    ]
    if len(amounts) > 1:
        fit = line_fit([(result.rows, result.score) for result in some])
        ends = [{"rows": n, "score": fit.at_one + fit.per_doubling * log2(n)} for n in (amounts[0], amounts[-1])]
        mark = {"type": "line", "color": GREY, "strokeDash": [6, 3]}
        layers.append({"data": {"values": ends}, "mark": mark, "encoding": {"x": x, "y": y}})
    return framed(_values(some), {"layer": layers})


def _axis(unit: Unit) -> Chart:
    return {"title": unit.title, "format": unit.on_axis}


def _values(results: Sequence[Result]) -> list[Chart]:
    return [result._asdict() for result in results]


def _by_arm(results: Sequence[Result]) -> dict[str, list[Result]]:
    arms: dict[str, list[Result]] = {}
    for result in results:
        arms.setdefault(result.arm, []).append(result)
    return arms
