"""The yield of k samples per question (arXiv 2308.01825, section 3.3), from outputs of `reject curve`."""

from collections.abc import Sequence

from synth.cli.report.charts import Point, curves
from synth.cli.report.page import Chapter, Figure, Table
from synth.cli.report.sources import ReportInput
from synth.cli.summaries import number
from synth.schemas.phrases import listed

__all__ = ["is_curve", "sampling"]

COUNTED = {"distinct_paths": "different calculations", "correct_paths": "correct paths"}


def is_curve(source: ReportInput) -> bool:
    return source.rows > 0 and source.input.dataset is not None and {"k", *COUNTED} <= source.columns.keys()


def sampling(sources: Sequence[ReportInput]) -> Chapter | None:
    """None if no input is an output of `reject curve`."""
    known = {
        source.name: sorted(source.input.dataset.rows(("k", *COUNTED)), key=lambda row: row["k"])
        for source in sources
        if is_curve(source) and source.input.dataset
    }
    if not known:
        return None
    figures = []
    highest = max(row[column] for rows in known.values() for row in rows for column in COUNTED)
    for column, words in COUNTED.items():
        points = [Point(name, row["k"], row[column]) for name, rows in known.items() for row in rows]
        heights = {(point.series, point.x): f"{point.y:.3f}" for point in points}
        steps = sorted({point.x for point in points})
        reached = [f"{rows[-1][column]:.2f} with {number(rows[-1]['k'])} in {name}" for name, rows in known.items()]
        figures.append(
            Figure(
                f"{words.capitalize()} for a question grow with the samples, to {listed(reached)}",
                curves(points, "samples of each question", f"{words} per question", logarithmic="x", highest=highest),
                numbers=Table(
                    ["samples", *known], [[number(k), *(heights.get((name, k), "") for name in known)] for k in steps]
                ),
            )
        )
    return Chapter("sampling", "What more samples yield", figures=figures)
