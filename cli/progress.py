"""What a running command says on stderr: a bar on a terminal, elsewhere a line every 30 seconds, and a summary."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pipelines.chunk import Counts
    from pipelines.runner import Observer, Summary

__all__ = ["observing", "print_summary"]

SECONDS_PER_LINE = 30.0


@contextmanager
def observing(label: str) -> Iterator["Observer"]:
    """Show progress while the block runs."""
    if sys.stderr.isatty():
        with _bar(label) as observer:
            yield observer
    else:
        yield _lines(label)


@contextmanager
def _bar(label: str) -> Iterator["Observer"]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,}/{task.total:,} rows"),
        TextColumn("{task.fields[rates]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None, rates="starting", visible=False)
        rates = _Rates()

        def observe(counts: "Counts", total: int) -> None:
            progress.update(
                task, completed=counts.finished, total=total, rates=rates.describe(counts), visible=True, refresh=True
            )

        yield observe


def _lines(label: str) -> "Observer":
    rates = _Rates()
    last = time.monotonic()

    def observe(counts: "Counts", total: int) -> None:
        nonlocal last
        described = rates.describe(counts)
        if time.monotonic() - last >= SECONDS_PER_LINE:
            last = time.monotonic()
            print(f"{label}: {counts.finished:,}/{total:,} rows, {described}", file=sys.stderr, flush=True)

    return observe


class _Rates:
    """Rates since the first observation: what an earlier run had finished is not this run's speed."""

    def __init__(self) -> None:
        self._start: tuple[float, int, float] | None = None

    def describe(self, counts: "Counts") -> str:
        now, rows, tokens = time.monotonic(), counts.finished, counts.tallies.get("completion_tokens", 0)
        if self._start is None:
            self._start = (now, rows, tokens)
        elapsed = max(now - self._start[0], 1e-9)
        parts = [f"{(rows - self._start[1]) / elapsed:,.1f} rows/s"]
        if tokens:
            parts.append(f"{(tokens - self._start[2]) / elapsed:,.0f} tokens/s")
        if counts.finished:
            parts.append(f"{counts.produced / counts.finished:.0%} accepted")
        return " ".join(parts)


def print_summary(summary: "Summary") -> None:
    """Say on stderr what came of the rows."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if summary.already_done:
        console.print(f"{summary.out} is complete already: nothing to do", markup=False)
        return
    record = summary.record
    counts = record["counts"]
    lines = [
        f"{summary.out}: {counts['outputs']:,} rows from {counts['produced']:,} of {record['input_rows']:,} input rows "
        f"in {record['seconds']:,.1f} s"
    ]
    for title, reasons in (("rejected", counts["reasons"]), ("turned away", counts["output_reasons"])):
        if reasons:
            ordered = sorted(reasons.items(), key=lambda item: -item[1])
            lines.append(
                f"  {title}: {sum(reasons.values()):,} (" + ", ".join(f"{name} {n:,}" for name, n in ordered) + ")"
            )
    if counts["failed"]:
        lines.append(f"  failed: {counts['failed']:,}")
    if counts["tallies"]:
        lines.append("  " + ", ".join(f"{name.replace('_', ' ')} {n:,.0f}" for name, n in counts["tallies"].items()))
    spent, distinct = (counts["tallies"].get(name) for name in ("completion_tokens", "distinct_paths"))
    if spent and distinct:
        lines.append(f"  {spent / distinct:,.1f} completion tokens per accepted path")
    for line in lines:
        console.print(line, markup=False)
