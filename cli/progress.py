"""Progress on stderr: a bar on a terminal, otherwise a line every 30 seconds; and the summary of a run."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synth.cli.summaries import about, breakdown, duration, money, price, wrapped
from synth.schemas.layout import Layout
from synth.schemas.phrases import listed, plural
from synth.schemas.stores.places import origin

if TYPE_CHECKING:
    from synth.pipelines.runtime.cost import Estimate
    from synth.pipelines.runtime.observation import Observation, Observer
    from synth.pipelines.runtime.runner import Summary
    from synth.schemas.reading.inputs import Input

__all__ = ["observing", "print_summary", "reading"]

SECONDS_PER_LINE = 30.0
SECONDS_PER_LOOK = 0.5
# Rates are means over this time, so that the start of an engine does not count for long.
SECONDS_OF_RATES = 30.0


@contextmanager
def observing(label: str, *, details: bool = False) -> Iterator["Observer"]:
    """Show progress while the block runs; with `details`, reasons and sums below the bar."""
    if sys.stderr.isatty():
        with _bar(label, details) as observer:
            yield observer
    else:
        yield _lines(label)


@contextmanager
def reading(label: str, source: "Input") -> Iterator[Callable[[int], None]]:
    """Show how many rows of an input are read, of which the block tells the number so far."""
    from synth.pipelines.runtime.observation import Observation

    is_here = all(file.exists() for file in source.files)
    rows, phase = (source.row_count() if is_here else None) or 0, f"reading {source.spec}"
    last = time.monotonic()
    with observing(label) as observe:

        def read(done: int) -> None:
            nonlocal last
            if time.monotonic() - last >= SECONDS_PER_LOOK:
                last = time.monotonic()
                observe(Observation(rows, prepared=done, phase=phase))

        yield read


class _Rates:
    """Rates over the last seconds, in rows and tokens that were finished meanwhile."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, int, int]] = deque()

    def rows(self, seen: "Observation") -> list[str]:
        """What becomes of the rows."""
        if not seen.counts.finished and (seen.prepared or seen.phase):
            return [] if seen.phase else ["first pass"]
        since, rows, _ = self._past[0]
        parts = [f"{(seen.counts.finished - rows) / self._elapsed(since):,.1f} rows/s"]
        if seen.counts.finished:
            parts.append(f"{seen.counts.produced / seen.counts.finished:.0%} accepted")
        return parts

    def requests(self, seen: "Observation") -> list[str]:
        """What the run waits for, and the requests of its rows."""
        since, _, tokens = self._past[0]
        parts = [seen.phase] if seen.phase else []
        parts += [
            f"{count:,} {what}{'' if count == 1 else ending}"
            for count, what, ending in (
                (seen.answers, "answer", "s"),
                (seen.verdicts, "verdict", "s"),
                (seen.searches, "search", "es"),
                (seen.scores, "score", "s"),
            )
            if count
        ]
        if seen.tokens:
            parts.append(f"{(seen.tokens - tokens) / self._elapsed(since):,.0f} tok/s")
        if seen.in_flight:
            parts.append(f"{seen.in_flight:,} in flight")
        return parts

    def add(self, seen: "Observation") -> None:
        self._past.append((time.monotonic(), seen.counts.finished, seen.tokens))
        while len(self._past) > 2 and self._past[1][0] <= time.monotonic() - SECONDS_OF_RATES:
            self._past.popleft()

    def _elapsed(self, since: float) -> float:
        return max(time.monotonic() - since, 1e-9)


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
        TextColumn("{task.fields[described]}"),
        TimeRemainingColumn(compact=True),
    )
    task = progress.add_task(label, total=None, described="", visible=False)
    rates = _Rates()
    with Live(progress, console=Console(stderr=True), transient=True) as live:

        def observe(seen: "Observation") -> None:
            rates.add(seen)
            done = seen.counts.finished or seen.prepared
            described = " ".join([f"{done:,}/{seen.rows:,}", *rates.rows(seen)]) if seen.rows else ""
            below = [Text(f"  {line}", "dim", no_wrap=True) for line in [", ".join(rates.requests(seen))] if line]
            below += [Text(line, "dim") for line in breakdown(asdict(seen.counts))] if details else []
            progress.update(task, completed=done, total=seen.rows or None, described=described, visible=True)
            live.update(Group(progress, *below), refresh=True)

        yield observe


def _lines(label: str) -> "Observer":
    rates = _Rates()
    last = time.monotonic()

    def observe(seen: "Observation") -> None:
        nonlocal last
        rates.add(seen)
        if time.monotonic() - last >= SECONDS_PER_LINE:
            last = time.monotonic()
            done = seen.counts.finished or seen.prepared
            rows = [f"{done:,}/{plural(seen.rows, 'row')}", *rates.rows(seen)] if seen.rows else []
            print(f"{label}: {', '.join([*rows, *rates.requests(seen)])}", file=sys.stderr, flush=True)

    return observe


def print_summary(summary: "Summary", advice: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print the outcome of a run to stderr, with `advice` (by reason) if one reason rejected most rows."""
    if summary.already_done:
        print(f"{origin(summary.out)} is complete already: nothing to do", file=sys.stderr)
        return
    if summary.slice:
        _print_slice(summary)
        return
    record = summary.record
    counts = record["counts"]
    lines = [
        f"{origin(summary.out)}: {plural(counts['outputs'], 'row')} from {counts['produced']:,} of "
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
            warnings.append(f"  `synth show {origin(summary.out)} --rejected` shows the rejected rows")
    lines += warnings
    if summary.whole_input:
        lines += wrapped(_whole(summary.whole_input))
    print(*lines, sep="\n", file=sys.stderr)


def _print_slice(summary: "Summary") -> None:
    record, counts = summary.record, summary.record["counts"]
    done = (
        f"{summary.out}: slice {summary.slice} is finished, {plural(counts['outputs'], 'row')} from "
        f"{counts['produced']:,} of {record['input_rows']:,} input rows in {record['seconds']:,.1f} s"
    )
    how = "when all slices are done, repeat the command without --slice to publish the output"
    print(done, *breakdown(counts), *wrapped(how), sep="\n", file=sys.stderr)


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
    return f"the whole input ({plural(whole.rows, 'row')}) would take about {listed(takes)}"
