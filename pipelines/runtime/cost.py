"""What an output cost, and what the whole input of a trial would cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.spending import Spending
from synth.pipelines.runtime.stage import Stage
from synth.schemas.reading.sources import Source

__all__ = ["Estimate", "cost_of", "estimate"]


def cost_of(
    stage: Stage,
    counts: Counts,
    spent: Spending,
    reused: int,
    engine_seconds: float,
    gpus: int | None,
    options: Options,
) -> dict[str, Any]:
    """The cost of an output, in total and for each accepted one; None where unknown.

    Tokens are unknown if a server did not count those of every answer, and money is unknown without prices, too. The
    GPUs of a server are always unknown.
    """
    accepted = counts.tallies.get(stage.accepted, 0) if stage.accepted else counts.outputs
    known = not spent.uncounted
    money = options.price(spent.prompt_tokens, spent.completion_tokens) if known else None
    return {
        "prompt_tokens": spent.prompt_tokens if known else None,
        "completion_tokens": spent.completion_tokens if known else None,
        "reused_tokens": reused,
        # A crash lost their answers, or their rows failed or were not needed.
        "unused_requests": None if reused else max(0, spent.requests - int(counts.tallies.get("requests", 0))),
        "engine_seconds": round(engine_seconds, 3),
        "gpus": gpus,
        "accepted": accepted,
        "completion_tokens_each": _each(spent.completion_tokens if known else None, accepted),
        "gpu_seconds_each": None if gpus is None else _each(gpus * engine_seconds, accepted),
        "price_in": options.price_in,
        "price_out": options.price_out,
        "money": money,
        "money_each": None if money is None or not accepted else float(f"{money / accepted:.6g}"),
    }


def _each(total: float | None, accepted: float) -> float | None:
    return None if total is None or not accepted else round(total / accepted, 3)


@dataclass(frozen=True)
class Estimate:
    """What all `rows` of an input would take, from the first of them. None where unknown."""

    rows: int
    prompt_tokens: float
    completion_tokens: float
    money: float | None
    seconds: float | None


def estimate(
    sources: Sequence[Source], rows: int, counts: Counts, seconds: float | None, options: Options
) -> Estimate | None:
    """What the whole input would take, from a trial of its first `rows` in `seconds`.

    None if the trial read all of it, asked for nothing or does not know its tokens, or if counting the rows of the
    input would take long.
    """
    if options.limit is None or options.until is not None or counts.tallies.get("uncounted_requests"):
        return None
    sizes = [source.input.row_count() for source in sources] if counts.tallies.get("requests") else []
    whole = 0 if None in sizes else sum(filter(None, sizes))
    if whole <= rows:
        return None
    prompt, completion = (counts.tallies.get(name, 0) * whole / rows for name in ("prompt_tokens", "completion_tokens"))
    money = options.price(prompt, completion)
    return Estimate(whole, prompt, completion, money, None if seconds is None else seconds * whole / rows)
