"""The record of a run in words, and the formats of numbers."""

import shutil
from collections.abc import Iterator, Mapping
from math import floor, log10
from textwrap import wrap
from types import MappingProxyType
from typing import Any

from synth.schemas.phrases import plural

__all__ = [
    "ACCOUNTS",
    "REASONS",
    "about",
    "breakdown",
    "commonest",
    "duration",
    "money",
    "number",
    "price",
    "run_facts",
    "share",
    "size",
    "tokens",
    "wrapped",
]

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
    cost = run.get("cost", {})
    prompt, completion = tokens(run)
    if prompt or completion or cost.get("reused_tokens"):
        written = counts.get("tallies", {}).get("completion_tokens", 0)
        per_row = f", {written / counts['outputs']:,.1f} a row" if written and counts.get("outputs") else ""
        reused = f", {cost['reused_tokens']:,} reused" if cost.get("reused_tokens") else ""
        yield "tokens", f"{prompt:,.0f} prompt, {completion:,.0f} completion{per_row}{reused}"
    if paid := price(cost):
        yield "cost", paid
    if times := list(_times(run, cost)):
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


def price(cost: Mapping[str, Any]) -> str | None:
    """The money that an output cost, in all and for each accepted one; None if it is unknown."""
    if cost.get("money") is None:
        return None
    each = "" if cost.get("money_each") is None else f", {money(cost['money_each'])} for each accepted"
    return f"{money(cost['money'])}{each}"


def money(amount: float) -> str:
    """In hundredths, or below them in three digits."""
    return f"{amount:,.2f}" if amount >= 1 or not amount else f"{amount:.{2 - floor(log10(amount))}f}"


def about(count: float) -> str:
    """A large number in two or three digits: `3.4 M`."""
    if count < 10_000:
        return f"{count:,.0f}"
    return f"{count / 1000:,.0f} k" if count < 1_000_000 else f"{count / 1_000_000:,.1f} M"


def duration(seconds: float) -> str:
    """In the two largest units: `2 h 10 min`."""
    if seconds < 60:
        return f"{max(1, seconds):.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join([f"{amount} {unit}" for amount, unit in parts if amount][:2])


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
    return [line for text in lines for line in wrapped(text)]


def wrapped(text: str) -> list[str]:
    """Text in lines of the terminal's width, below a line that they belong to."""
    return wrap(text, shutil.get_terminal_size().columns, initial_indent="  ", subsequent_indent="    ")


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
