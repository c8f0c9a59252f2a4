"""The record of a run in words, and the formats of numbers."""

import shutil
from collections.abc import Iterator, Mapping
from textwrap import wrap
from types import MappingProxyType
from typing import Any

from synth.schemas.phrases import plural

__all__ = ["ACCOUNTS", "REASONS", "breakdown", "commonest", "number", "run_facts", "share", "size", "tokens"]

# Parts of `counts` in `synth.json`, and the words shown for them: outcomes of input rows, and reasons.
ACCOUNTS = {"produced": "accepted", "rejected": "rejected", "failed": "failed"}
REASONS = {"reasons": "rejected", "failures": "failed", "output_reasons": "filtered"}


def run_facts(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Facts of a run record about rows, tokens and time, by name."""
    counts = run.get("counts", {})
    made = [run.get("identity", {}).get("stage"), run.get("finished")]
    if any(made):
        yield "made by", ", ".join(str(fact) for fact in made if fact)
    if run.get("inputs"):
        yield "from", ", ".join(run["inputs"])
    if "produced" in counts:
        whole = run.get("input_rows") or 0
        became = (f"{counts[kind]:,} {word}{share(counts[kind], whole)}" for kind, word in ACCOUNTS.items())
        yield "input", f"{plural(whole, 'row')}: {', '.join(became)}"
    prompt, completion = tokens(run)
    if prompt or completion:
        per_row = f", {completion / counts['outputs']:,.1f} a row" if counts.get("outputs") else ""
        yield "tokens", f"{prompt:,.0f} prompt, {completion:,.0f} completion{per_row}"
    if times := list(_times(run, run.get("cost", {}))):
        yield "time", ", ".join(times)
    if means := run.get("means", {}):
        yield "means", ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
    known = ("prompt_tokens", "completion_tokens", *means)
    if sums := [f"{name} {amount:,.10g}" for name, amount in counts.get("tallies", {}).items() if name not in known]:
        yield "tallies", ", ".join(sums)


def tokens(run: Mapping[str, Any]) -> tuple[float, float]:
    """Tokens of prompts and of completions; 0 if they are not recorded."""
    cost = {**run.get("counts", {}).get("tallies", {}), **run.get("cost", {})}
    return cost.get("prompt_tokens") or 0, cost.get("completion_tokens") or 0


def _times(run: Mapping[str, Any], cost: Mapping[str, Any]) -> Iterator[str]:
    if "seconds" in run:
        yield f"{run['seconds']:,.1f} s"
    if cost.get("engine_seconds"):
        gpus = f" on {plural(cost['gpus'], 'GPU')}" if cost.get("gpus") else ""
        yield f"engine {cost['engine_seconds']:,.1f} s{gpus}"
    if cost.get("gpu_seconds_each"):
        yield f"{cost['gpu_seconds_each']:,.3g} GPU-seconds for each accepted"


def breakdown(counts: Mapping[str, Any], means: Mapping[str, float] = MappingProxyType({})) -> list[str]:
    """Rejections, failures and filtered outputs by reason, then sums and means, wrapped to the terminal's width."""
    lines = []
    for kind, word in REASONS.items():
        if reasons := counts.get(kind):
            listed = ", ".join(f"{reason} {count:,}" for reason, count in commonest(reasons))
            lines.append(f"{word}: {sum(reasons.values()):,} ({listed})")
    if sums := {name: n for name, n in counts["tallies"].items() if name not in means}:
        lines.append(", ".join(f"{name.replace('_', ' ')} {n:,.0f}" for name, n in sums.items()))
    if means:
        lines.append("mean " + ", ".join(f"{name.replace('_', ' ')} {mean:.4f}" for name, mean in means.items()))
    width = shutil.get_terminal_size().columns
    return [line for text in lines for line in wrap(text, width, initial_indent="  ", subsequent_indent="    ")]


def commonest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The items of `counts` in descending order of count; ties keep their order."""
    return sorted(counts.items(), key=lambda item: -item[1])


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def share(count: int, whole: int) -> str:
    return f" ({count / whole:.1%})" if count else ""


def size(of_bytes: float) -> str:
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while of_bytes >= 1000 and len(units) > 1:
        of_bytes /= 1000
        del units[0]
    return f"{of_bytes:,.0f} bytes" if units[0] == "bytes" else f"{of_bytes:,.1f} {units[0]}"
