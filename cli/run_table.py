"""`synth stats --table`: a line for each run, under one for the recipe that the runs are steps of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from synth.cli.inputs import input_to_look_at
from synth.cli.rendering import grid, literal
from synth.cli.summaries import REASONS, about, commonest, duration, tokens
from synth.pipelines.recipes import paper_of
from synth.schemas.layout import Layout

__all__ = ["run_table"]

MOST_REASONS = 3


@dataclass(frozen=True)
class _Step:
    """A directory and the record of the run that made it, which is empty if there is none."""

    spec: str
    run: Mapping[str, Any]
    # The method of the recipe that it belongs to, if any.
    method: str | None

    @property
    def absence(self) -> str:
        """Why there is no record."""
        return "no record of a run" if Path(self.spec).exists() else "not made"

    @property
    def rows_in(self) -> int:
        return int(self.run.get("input_rows") or 0)

    @property
    def rows_out(self) -> int:
        return int(self.run["counts"]["outputs"])

    @property
    def seconds(self) -> float:
        return float(self.run.get("seconds", 0))


def run_table(specs: Sequence[str]) -> Table:
    """The runs in the order of `specs`. A directory that does not exist is `not made`."""
    table = grid()
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(*(Text(name, "dim") for name in ("step", "rows in", "rows out", "tokens", "time", "not kept")))
    for method, group in groupby(_steps(specs), key=lambda step: step.method):
        steps = list(group)
        indent = "  " if method else ""
        if method:
            table.add_row(Text(method, "bold"), *_figures([step for step in steps if step.run]))
        for step in steps:
            if step.run:
                name = step.run["identity"]["stage"]
                table.add_row(Text(f"{indent}{literal(name)}", "cyan"), *_figures([step]), _not_kept(step.run))
            else:
                table.add_row(Text(f"{indent}{literal(Path(step.spec).name)}", "cyan"), "", "", "", "", step.absence)
    return table


def _steps(specs: Sequence[str]) -> list[_Step]:
    """A step of no recipe belongs to that of the steps before it if it reads their rows only."""
    steps: list[_Step] = []
    members: set[Path] = set()
    method: str | None = None
    for spec in specs:
        place = Path(spec).absolute()
        run = input_to_look_at(spec).run if place.exists() or Layout(place).partial.path.exists() else {}
        if run:
            paper = paper_of(run["identity"]["stage"])
            reads = {Path(path).resolve() for path in run.get("inputs", ())}
            own = paper[0] if paper else method if reads and reads <= members else None
            if own != method:
                method, members = own, set()
        members.add(place.resolve())
        steps.append(_Step(spec, run, method))
    return steps


def _figures(steps: Sequence[_Step]) -> tuple[str, str, str, str]:
    """Rows into the first and out of the last step, and the sums of tokens and seconds."""
    spent = sum(sum(tokens(step.run)) for step in steps)
    seconds = sum(step.seconds for step in steps)
    return f"{steps[0].rows_in:,}", f"{steps[-1].rows_out:,}", about(spent) if spent else "", duration(seconds)


def _not_kept(run: Mapping[str, Any]) -> str:
    """The most frequent reasons why rows were rejected or failed, or outputs filtered."""
    counted: dict[str, int] = {}
    for kind in REASONS:
        for reason, count in run["counts"].get(kind, {}).items():
            counted[reason] = max(counted.get(reason, 0), count)
    shown = [f"{literal(reason)} {count:,}" for reason, count in commonest(counted)]
    rest = [f"{len(shown) - MOST_REASONS} more"] if len(shown) > MOST_REASONS else []
    return ", ".join(shown[:MOST_REASONS] + rest)
