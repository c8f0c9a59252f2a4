"""What the runs record: where their rows went and why, what they cost, how they were started."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synth.cli.reporting.charts import Bar, bars, parts
from synth.cli.reporting.frame import Name
from synth.cli.reporting.page import Chapter, Figure, Table
from synth.cli.reporting.sources import ReportInput
from synth.cli.reporting.wording import distinct, listed, percent, shown
from synth.cli.summaries import ACCOUNTS, number, run_facts, size
from synth.schemas.phrases import plural

__all__ = ["runs"]

MOST_REASONS = 15
REASONS = {
    "reasons": "Why input rows{} were rejected",
    "failures": "Why input rows{} failed",
    "output_reasons": "Why rows{} that were made were turned away",
}
# What became of input rows, in colours that stand for no input.
KINDS = {"produced": "var(--plain)", "rejected": "var(--rule)", "failed": "var(--ink)"}


def runs(sources: Sequence[ReportInput]) -> Chapter:
    figures = [
        _accounts(sources),
        *_reasons(sources),
        _amounts("Tokens that the models wrote", "tokens", {source.name: _tokens(source.run) for source in sources}),
        _amounts("How long the runs took", "seconds", {source.name: source.run.get("seconds") for source in sources}),
        _means(sources),
    ]
    unshown = []
    if strange := [source.name for source in sources if not source.run]:
        unshown.append(
            f"How {listed(strange)} came about: without the record of a run (synth.json) neither rows that were turned "
            "away nor tokens nor time are known."
        )
    if kept := [source.name for source in sources if source.run and not any(map(source.counts.get, REASONS))]:
        unshown.append(f"Why rows of {listed(kept)} were turned away: none were.")
    return Chapter(
        "runs",
        "The datasets and their runs",
        facts=_table(sources),
        figures=[figure for figure in figures if figure],
        unshown=unshown,
    )


def _table(sources: Sequence[ReportInput]) -> Table:
    facts = [dict(_facts(source)) for source in sources]
    names = list(dict.fromkeys(name for known in facts for name in known))
    rows = [[name, *(known.get(name, "") for known in facts)] for name in names]
    return Table(["", *(source.name for source in sources)], rows, textual=True)


def _facts(source: ReportInput) -> Iterator[tuple[str, str]]:
    counted, run = source.survey.statistics, source.run
    files = plural(counted.files, "shard" if source.input.dataset else "file")
    yield "rows", f"{counted.rows:,} in {files}, {size(counted.bytes)}"
    for name, fact in run_facts(run):
        yield name, shown(fact, 400)
    identity = run.get("identity", {})
    if engine := identity.get("engine"):
        yield "model", shown(" on ".join(str(engine[part]) for part in ("model", "engine") if engine.get(part)), 120)
    if identity.get("seed") is not None:
        yield "seed", str(identity["seed"])
    if run.get("software"):
        yield "software", shown(", ".join(f"{name} {version}" for name, version in run["software"].items()), 400)
    if run.get("command"):
        yield "command", shown(shlex.join(["synth", *run["command"]]), 1000)


def _accounts(sources: Sequence[ReportInput]) -> Figure | None:
    """Input rows as produced, rejected and failed."""
    items, rows, told = [], [], []
    for source in sources:
        whole = source.run.get("input_rows")
        if not whole or "produced" not in source.counts:
            continue
        amounts = {kind: source.counts[kind] for kind in ACCOUNTS}
        items += [
            Bar(source.name, kind, count / whole, f"{count:,} of {whole:,}, {percent(count, whole)}")
            for kind, count in amounts.items()
            if count
        ]
        rows.append([source.name, *(f"{count:,}" for count in (whole, *amounts.values(), source.counts["outputs"]))])
        told.append(f"{percent(amounts['produced'], whole)} in {source.name}")
    if not items:
        return None
    # What came of no row needs no colour.
    kinds = {kind: colour for kind, colour in KINDS.items() if any(bar.series == kind for bar in items)}
    return Figure(
        f"Input rows that gave something: {listed(told)}",
        parts(items, kinds, "share of the input rows"),
        Table(["dataset", "input rows", *ACCOUNTS, "rows out"], rows),
    )


def _reasons(sources: Sequence[ReportInput]) -> Iterator[Figure]:
    """Steps of different kinds have different reasons, and a chart each."""
    for field, title in REASONS.items():
        stages: dict[Any, dict[Name, Mapping[str, int]]] = {}
        for source in sources:
            if reasons := source.counts.get(field):
                stages.setdefault(source.run.get("identity", {}).get("stage"), {})[source.name] = reasons
        for known in stages.values():
            yield _why(title, known, len(sources))


def _why(title: str, known: Mapping[Name, Mapping[str, int]], inputs: int) -> Figure:
    together: Counter[str] = Counter()
    for reasons in known.values():
        together.update(reasons)
    ordered = sorted(together, key=lambda reason: (-together[reason], reason))
    labels = dict(zip(ordered, distinct(ordered), strict=True))
    items = [
        Bar(labels[reason], name, reasons[reason], f"{reasons[reason]:,}")
        for reason in ordered[:MOST_REASONS]
        for name, reasons in known.items()
        if reason in reasons
    ]
    rows = [[labels[reason], *(f"{reasons.get(reason, 0):,}" for reasons in known.values())] for reason in ordered]
    whose = f" of {listed(list(known))}" if inputs > 1 else ""
    left = len(ordered) - MOST_REASONS
    return Figure(
        f"{title.format(whose)}: most often {labels[ordered[0]]}",
        bars(items, list(known), "rows"),
        numbers=Table(["reason", *known], rows),
        note=f"{plural(left, 'rarer reason')} in the table alone." if left > 0 else "",
    )


def _amounts(title: str, unit: str, amounts: Mapping[str, float | None]) -> Figure | None:
    """A bar for each run. A single one would say no more than the table above does."""
    known = {name: amount for name, amount in amounts.items() if amount}
    if len(known) < 2:
        return None
    figures = {name: f"{amount:,.0f}" if amount >= 100 else number(amount) for name, amount in known.items()}
    return Figure(
        f"{title}: most in {max(known, key=lambda name: known[name])}",
        bars([Bar(name, "", amount, figures[name]) for name, amount in known.items()], [""], unit),
        numbers=Table(["dataset", unit], [[name, figure] for name, figure in figures.items()]),
    )


def _tokens(run: Mapping[str, Any]) -> float | None:
    cost = {**run.get("counts", {}).get("tallies", {}), **run.get("cost", {})}
    return cost.get("completion_tokens")


def _means(sources: Sequence[ReportInput]) -> Figure | None:
    """Scores that a step gives as means over its rows, such as pass@k."""
    known = {source.name: source.run["means"] for source in sources if source.run.get("means")}
    if not known:
        return None
    scores = list(dict.fromkeys(score for means in known.values() for score in means))
    labels = dict(zip(scores, distinct(scores), strict=True))
    items = [
        Bar(labels[score], name, means[score], f"{means[score]:.3f}")
        for score in scores
        for name, means in known.items()
        if score in means
    ]
    rows = [
        [labels[score], *(f"{means[score]:.4f}" if score in means else "" for means in known.values())]
        for score in scores
    ]
    told = [f"{means[scores[0]]:.3f} in {name}" for name, means in known.items() if scores[0] in means]
    return Figure(
        f"Scores: {labels[scores[0]]} is {listed(told)}",
        bars(items, list(known), "mean over the rows"),
        numbers=Table(["score", *known], rows),
    )
