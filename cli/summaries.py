"""What the record of a run tells, and numbers as a reader sees them."""

from collections.abc import Iterator, Mapping
from typing import Any

from synth.schemas.phrases import plural

__all__ = ["ACCOUNTS", "number", "run_facts", "share", "size"]

ACCOUNTS = ("produced", "rejected", "failed")


def run_facts(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the run record tells, as far as it tells it."""
    counts = run.get("counts", {})
    made = [run.get("identity", {}).get("stage"), run.get("finished")]
    if any(made):
        yield "made by", ", ".join(str(fact) for fact in made if fact)
    if run.get("inputs"):
        yield "from", ", ".join(run["inputs"])
    if "produced" in counts:
        whole = run.get("input_rows") or 0
        became = (f"{counts[kind]:,} {kind}{share(counts[kind], whole)}" for kind in ACCOUNTS)
        yield "input", f"{plural(whole, 'row')}: {', '.join(became)}"
    tallies = dict(counts.get("tallies", {}))
    cost = {**tallies, **run.get("cost", {})}
    prompt, completion = (cost.get(name) or 0 for name in ("prompt_tokens", "completion_tokens"))
    if prompt or completion:
        per_row = f", {completion / counts['outputs']:,.1f} a row" if counts.get("outputs") else ""
        yield "tokens", f"{prompt:,.0f} prompt, {completion:,.0f} completion{per_row}"
    yield from _times(run, cost)
    means = run.get("means", {})
    if means:
        yield "means", ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
    others = {name: n for name, n in tallies.items() if name not in ("prompt_tokens", "completion_tokens", *means)}
    if others:
        yield "tallies", ", ".join(f"{name} {amount:,.10g}" for name, amount in others.items())


def _times(run: Mapping[str, Any], cost: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    times = [f"{run['seconds']:,.1f} s"] if "seconds" in run else []
    if cost.get("engine_seconds"):
        gpus = f" on {plural(cost['gpus'], 'GPU')}" if cost.get("gpus") else ""
        times.append(f"engine {cost['engine_seconds']:,.1f} s{gpus}")
    if cost.get("gpu_seconds_each"):
        times.append(f"{cost['gpu_seconds_each']:,.3g} GPU-seconds for each accepted")
    if times:
        yield "time", ", ".join(times)


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
