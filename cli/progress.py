"""Progress on stderr: a bar on a terminal, otherwise a line every 30 seconds; and the summary of a run."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synth.cli.summaries import about, breakdown, duration, money, price, wrapped
from synth.schemas.layout import Layout
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.pipelines.runtime.cost import Estimate
    from synth.pipelines.runtime.counts import Counts
    from synth.pipelines.runtime.runner import Observer, Summary

__all__ = ["observing", "print_summary"]

SECONDS_PER_LINE = 30.0


@contextmanager
def observing(label: str, *, details: bool = False) -> Iterator["Observer"]:
    """Show progress while the block runs; with `details`, reasons and sums below the bar."""
    if sys.stderr.isatty():
        with _bar(label, details) as observer:
            yield observer
    else:
        yield _lines(label)


class _Rates:
    """Rates since the first observation, excluding rows that an earlier run finished."""

    def __init__(self) -> None:
        self._start: tuple[float, int, float] | None = None

    def describe(self, counts: "Counts", prepared: int) -> str:
        if prepared and not counts.finished:
            return "first pass"
        now, rows, tokens = time.monotonic(), counts.finished, counts.tallies.get("completion_tokens", 0)
        if self._start is None:
            self._start = (now, rows, tokens)
        elapsed = max(now - self._start[0], 1e-9)
        parts = [f"{(rows - self._start[1]) / elapsed:,.1f} rows/s"]
        if tokens:
            parts.append(f"{(tokens - self._start[2]) / elapsed:,.0f} tok/s")
        if counts.finished:
            parts.append(f"{counts.produced / counts.finished:.0%} accepted")
        return " ".join(parts)


@contextmanager
def _bar(label: str, details: bool) -> Iterator["Observer"]:
    # Imported only if there is a terminal, since it takes time.
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,}/{task.total:,}"),
        TextColumn("{task.fields[rates]}"),
        TimeRemainingColumn(compact=True),
    )
    task = progress.add_task(label, total=None, rates="starting", visible=False)
    rates = _Rates()
    with Live(progress, console=Console(stderr=True), transient=True) as live:

        def observe(counts: "Counts", total: int, prepared: int) -> None:
            below = [Text(line, "dim") for line in breakdown(asdict(counts))] if details else []
            done, described = counts.finished or prepared, rates.describe(counts, prepared)
            progress.update(task, completed=done, total=total, rates=described, visible=True)
            live.update(Group(progress, *below), refresh=True)

        yield observe


def _lines(label: str) -> "Observer":
    rates = _Rates()
    last = time.monotonic()

    def observe(counts: "Counts", total: int, prepared: int) -> None:
        nonlocal last
        described = rates.describe(counts, prepared)
        if time.monotonic() - last >= SECONDS_PER_LINE:
            last = time.monotonic()
            rows = counts.finished or prepared
            print(f"{label}: {rows:,}/{plural(total, 'row')}, {described}", file=sys.stderr, flush=True)

    return observe


def print_summary(summary: "Summary", advice: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print the outcome of a run to stderr, with `advice` (by reason) if one reason rejected most rows."""
    if summary.already_done:
        print(f"{summary.out} is complete already: nothing to do", file=sys.stderr)
        return
    record = summary.record
    counts = record["counts"]
    lines = [
        f"{summary.out}: {plural(counts['outputs'], 'row')} from {counts['produced']:,} of "
        f"{record['input_rows']:,} input rows in {record['seconds']:,.1f} s"
    ]
    lines += breakdown(counts, record.get("means", {}))
    lines += _cost(record.get("cost", {}))
    warnings = list(_warnings(counts, advice))
    if not counts["outputs"]:
        reasons = {**counts["output_reasons"], **counts["reasons"]}
        if reasons and not warnings:
            warnings = [f"  warning: no row came out, most often because of {max(reasons, key=reasons.__getitem__)}"]
        if Layout(summary.out).rejected.path.is_dir():
            warnings.append(f"  `synth show {summary.out} --rejected` shows the rejected rows")
    lines += warnings
    if summary.whole_input:
        lines += wrapped(_whole(summary.whole_input))
    print(*lines, sep="\n", file=sys.stderr)


def _warnings(counts: Mapping[str, Any], advice: Mapping[str, str]) -> Iterator[str]:
    """A warning for each reason that applies to all of several input rows, or to most rows if there is advice on it."""
    rows = counts["produced"] + counts["rejected"] + counts["failed"]
    outputs = counts["outputs"] + sum(counts["output_reasons"].values())
    for what, total, reasons in (("row", rows, counts["reasons"]), ("output", outputs, counts["output_reasons"])):
        for reason, count in reasons.items():
            share = f"all {total:,} {what}s were" if count == total else f"{count:,} of {total:,} {what}s were"
            share = f"the only {what} was" if total == 1 else share
            if reason in advice and count > total / 2:
                yield f"  warning: {share} rejected as {reason}: {advice[reason]}"
            elif count == total > 1 and what == "row":
                yield f"  warning: {share} rejected as {reason}"


def _cost(cost: Mapping[str, Any]) -> Iterator[str]:
    parts = [
        f"{cost[name]:,.1f} {what}"
        for name, what in (("completion_tokens_each", "completion tokens"), ("gpu_seconds_each", "GPU-seconds"))
        if cost.get(name)
    ]
    if parts:
        yield f"  {' and '.join(parts)} for each of {cost['accepted']:,.0f} accepted"
    if reused := cost.get("reused_tokens"):
        yield f"  {plural(reused, 'token')} in answers of an earlier run, which cost nothing"
    if paid := price(cost):
        yield f"  cost {paid}"


def _whole(whole: "Estimate") -> str:
    """What the whole input would take."""
    takes = [f"{about(whole.prompt_tokens)} prompt and {about(whole.completion_tokens)} completion tokens"]
    if whole.money is not None:
        takes.append(f"a cost of {money(whole.money)}")
    if whole.seconds is not None:
        takes.append(f"{duration(whole.seconds)} at this rate")
    *others, last = takes
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"the whole input ({plural(whole.rows, 'row')}) would take about {listed}"
