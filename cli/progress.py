"""What a running command says on stderr: a bar on a terminal, elsewhere a line every 30 seconds, and a summary."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.counts import Counts
    from pipelines.runner import Observer, Summary

__all__ = ["Rates", "breakdown", "observing", "print_summary"]

SECONDS_PER_LINE = 30.0


@contextmanager
def observing(label: str, *, details: bool = False) -> Iterator["Observer"]:
    """Show progress while the block runs; with `details`, the reasons and sums under the bar."""
    if sys.stderr.isatty():
        # On a terminal a bar is worth the time that rich takes to be imported.
        from cli.bar import bar

        with bar(label, details) as observer:
            yield observer
    else:
        yield _lines(label)


def _lines(label: str) -> "Observer":
    rates = Rates()
    last = time.monotonic()

    def observe(counts: "Counts", total: int, prepared: int) -> None:
        nonlocal last
        described = rates.describe(counts, prepared)
        if time.monotonic() - last >= SECONDS_PER_LINE:
            last = time.monotonic()
            rows = counts.finished or prepared
            print(f"{label}: {rows:,}/{total:,} rows, {described}", file=sys.stderr, flush=True)

    return observe


class Rates:
    """Rates since the first observation: what an earlier run had finished is not this run's speed."""

    def __init__(self) -> None:
        self._start: tuple[float, int, float] | None = None

    def describe(self, counts: "Counts", prepared: int = 0) -> str:
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
            parts.append(f"{counts.produced / counts.finished:.0%} kept")
        return " ".join(parts)


def breakdown(counts: Mapping[str, Any], means: Mapping[str, float] = MappingProxyType({})) -> list[str]:
    """What was rejected, turned away and failed, then sums and means; all as in `synth.json`."""
    told = []
    for title, reasons in (("rejected", counts["reasons"]), ("turned away", counts["output_reasons"])):
        if reasons:
            ordered = sorted(reasons.items(), key=lambda item: -item[1])
            told.append(f"{title}: {sum(reasons.values()):,} ({', '.join(f'{name} {n:,}' for name, n in ordered)})")
    if counts["failed"]:
        told.append(f"failed: {counts['failed']:,}")
    sums = {name: n for name, n in counts["tallies"].items() if name not in means}
    if sums:
        told.append(", ".join(f"{name.replace('_', ' ')} {n:,.0f}" for name, n in sums.items()))
    if means:
        told.append("mean " + ", ".join(f"{name.replace('_', ' ')} {mean:.4f}" for name, mean in means.items()))
    width = shutil.get_terminal_size().columns
    return [line for text in told for line in wrap(text, width, initial_indent="  ", subsequent_indent="    ")]


def print_summary(summary: "Summary") -> None:
    """Say on stderr what came of the rows."""
    if summary.already_done:
        print(f"{summary.out} is complete already: nothing to do", file=sys.stderr)
        return
    record = summary.record
    counts = record["counts"]
    lines = [
        f"{summary.out}: {counts['outputs']:,} rows from {counts['produced']:,} of {record['input_rows']:,} input rows "
        f"in {record['seconds']:,.1f} s"
    ]
    lines += breakdown(counts, record.get("means", {}))
    if cost := _cost(record.get("cost", {})):
        lines.append(cost)
    print(*lines, sep="\n", file=sys.stderr)


def _cost(cost: Mapping[str, Any]) -> str | None:
    parts = [
        f"{cost[name]:,.1f} {what}"
        for name, what in (("completion_tokens_each", "completion tokens"), ("gpu_seconds_each", "GPU-seconds"))
        if cost.get(name)
    ]
    return f"  {' and '.join(parts)} for each of {cost['accepted']:,.0f} accepted" if parts else None
