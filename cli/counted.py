"""What a run has counted, in words."""

import shutil
import time
from collections.abc import Mapping
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth.pipelines.runtime.counts import Counts

__all__ = ["Rates", "breakdown"]


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
    for title, kind in (("rejected", "reasons"), ("failed", "failures"), ("turned away", "output_reasons")):
        reasons = counts.get(kind)
        if reasons:
            ordered = sorted(reasons.items(), key=lambda item: -item[1])
            told.append(f"{title}: {sum(reasons.values()):,} ({', '.join(f'{name} {n:,}' for name, n in ordered)})")
    sums = {name: n for name, n in counts["tallies"].items() if name not in means}
    if sums:
        told.append(", ".join(f"{name.replace('_', ' ')} {n:,.0f}" for name, n in sums.items()))
    if means:
        told.append("mean " + ", ".join(f"{name.replace('_', ' ')} {mean:.4f}" for name, mean in means.items()))
    width = shutil.get_terminal_size().columns
    return [line for text in told for line in wrap(text, width, initial_indent="  ", subsequent_indent="    ")]
