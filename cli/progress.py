"""What a running command says on stderr: a bar on a terminal, elsewhere a line every 30 seconds, and a summary."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synth.cli.counted import Rates, breakdown
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.pipelines.runtime.counts import Counts
    from synth.pipelines.runtime.runner import Observer, Summary

__all__ = ["observing", "print_summary"]

SECONDS_PER_LINE = 30.0


@contextmanager
def observing(label: str, *, details: bool = False) -> Iterator["Observer"]:
    """Show progress while the block runs; with `details`, the reasons and sums under the bar."""
    if sys.stderr.isatty():
        # On a terminal a bar is worth the time that rich takes to be imported.
        from synth.cli.bar import bar

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
            print(f"{label}: {rows:,}/{plural(total, 'row')}, {described}", file=sys.stderr, flush=True)

    return observe


def print_summary(summary: "Summary", advice: Mapping[str, str] = MappingProxyType({})) -> None:
    """Say on stderr what came of the rows; `advice` says what to try about a reason that rejected most of them."""
    if summary.already_done:
        print(f"{summary.out} is complete already: nothing to do", file=sys.stderr)
        return
    record = summary.record
    counts = record["counts"]
    lines = [
        f"{summary.out}: {plural(counts['outputs'], 'row')} from {counts['produced']:,} of "
        f"{plural(record['input_rows'], 'input row')} "
        f"in {record['seconds']:,.1f} s"
    ]
    lines += breakdown(counts, record.get("means", {}))
    if cost := _cost(record.get("cost", {})):
        lines.append(cost)
    lines += _warnings(counts, advice)
    print(*lines, sep="\n", file=sys.stderr)


def _warnings(counts: Mapping[str, Any], advice: Mapping[str, str]) -> Iterator[str]:
    """One for each reason that rejected all of several input rows, or most rows or outputs if there is advice on it."""
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


def _cost(cost: Mapping[str, Any]) -> str | None:
    parts = [
        f"{cost[name]:,.1f} {what}"
        for name, what in (("completion_tokens_each", "completion tokens"), ("gpu_seconds_each", "GPU-seconds"))
        if cost.get(name)
    ]
    return f"  {' and '.join(parts)} for each of {cost['accepted']:,.0f} accepted" if parts else None
