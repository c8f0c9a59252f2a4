"""The records of runs: outcomes of rows and reasons, costs, and command lines."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synth.cli.report.charts import Bar, parts
from synth.cli.report.frame import Name
from synth.cli.report.page import Chapter, Figure, Table
from synth.cli.report.rankings import one_bar_each, ranking
from synth.cli.report.sources import ReportInput
from synth.cli.report.wording import distinct, percent, shown
from synth.cli.summaries import ACCOUNTS, REASONS, number, run_facts, size, tokens
from synth.schemas.phrases import listed, plural

__all__ = ["runs"]

MOST_REASONS = 15
# Reasons that would say nothing.
IN_WORDS = {"failed": "an error was raised", "": "no reason given"}
# Colours for the outcomes of input rows, different from those of inputs.
KINDS = {"accepted": "var(--plain)", "rejected": "var(--rule)", "failed": "var(--ink)"}


def runs(sources: Sequence[ReportInput]) -> Chapter:
    figures = [
        _accounts(sources),
        *_reasons(sources),
        _amounts("Tokens that the models wrote", "tokens", {source.name: tokens(source.run)[1] for source in sources}),
        _amounts(
            "How long the runs took", "seconds", {source.name: source.run.get("seconds", 0) for source in sources}
        ),
        _means(sources),
    ]
    unshown = []
    if unrecorded := [source.name for source in sources if not source.run]:
        unshown.append(
            f"The origin of {listed(unrecorded)}: without the record of a run (synth.json), rejected rows, tokens and "
            "time are unknown."
        )
    if complete := [source.name for source in sources if source.run and not any(map(source.counts.get, REASONS))]:
        unshown.append(f"Why rows of {listed(complete)} were rejected, failed or filtered: none were.")
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
    """The shares of accepted, rejected and failed input rows."""
    items, rows, accepted = [], [], []
    for source in sources:
        whole = source.run.get("input_rows")
        if not whole or "produced" not in source.counts:
            continue
        amounts = {word: source.counts[kind] for kind, word in ACCOUNTS.items()}
        items += [
            Bar(source.name, kind, count / whole, f"{count:,} of {whole:,}, {percent(count, whole)}")
            for kind, count in amounts.items()
            if count
        ]
        rows.append([source.name, *(f"{count:,}" for count in (whole, *amounts.values(), source.counts["outputs"]))])
        accepted.append(f"{percent(amounts['accepted'], whole)} in {source.name}")
    if not items:
        return None
    # Outcomes without rows stay out of the legend.
    kinds = {kind: colour for kind, colour in KINDS.items() if any(bar.series == kind for bar in items)}
    return Figure(
        f"Input rows that were accepted: {listed(accepted)}",
        parts(items, kinds, "share of the input rows"),
        Table(["dataset", "input rows", *ACCOUNTS.values(), "output rows"], rows),
    )


def _reasons(sources: Sequence[ReportInput]) -> Iterator[Figure]:
    """A chart per stage, as stages have different reasons."""
    for field, word in REASONS.items():
        what = "outputs" if field == "output_reasons" else "input rows"
        stages: dict[Any, dict[Name, Mapping[str, int]]] = {}
        for source in sources:
            if reasons := source.counts.get(field):
                stages.setdefault(source.run.get("identity", {}).get("stage"), {})[source.name] = reasons
        longest = max(
            (n for known in stages.values() for reasons in known.values() for n in reasons.values()), default=0
        )
        for known in stages.values():
            whose = f" of {listed(list(known))}" if len(sources) > 1 else ""
            yield _why(f"Why {what}{whose} {'failed' if word == 'failed' else f'were {word}'}", known, longest)


def _why(title: str, known: Mapping[Name, Mapping[str, int]], longest: int) -> Figure:
    together: Counter[str] = Counter()
    for reasons in known.values():
        together.update(reasons)
    ordered = sorted(together, key=lambda reason: (-together[reason], reason))
    labels = dict(zip(ordered, distinct([IN_WORDS.get(reason, reason) for reason in ordered]), strict=True))
    title = f"{title}: most often {labels[ordered[0]]}"
    return ranking(title, "reason", labels, known, most=MOST_REASONS, longest=longest)


def _amounts(title: str, unit: str, amounts: Mapping[Name, float]) -> Figure | None:
    """A bar per run; None for a single run, which the table above describes."""
    known = {name: amount for name, amount in amounts.items() if amount}
    if len(known) < 2:
        return None
    title = f"{title}: most in {max(known, key=lambda name: known[name])}"
    return one_bar_each(title, known, unit, lambda amount: f"{amount:,.0f}" if amount >= 100 else number(amount))


def _means(sources: Sequence[ReportInput]) -> Figure | None:
    """Scores that are means over rows, such as pass@k."""
    known: dict[Name, Mapping[str, float]] = {
        source.name: source.run["means"] for source in sources if source.run.get("means")
    }
    if not known:
        return None
    scores = list(dict.fromkeys(score for means in known.values() for score in means))
    labels = dict(zip(scores, distinct(scores), strict=True))
    first = [f"{means[scores[0]]:.3f} in {name}" for name, means in known.items() if scores[0] in means]
    title = f"Scores: {labels[scores[0]]} is {listed(first)}"
    return ranking(title, "score", labels, known, "mean over the rows", written="{:.4f}".format)
