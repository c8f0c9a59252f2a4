"""The normalization of raw tags (InsTag, arXiv 2308.07074, section 2.2), from `vocabulary/` of the output."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synth.cli.report.charts import Bar, bars
from synth.cli.report.frame import Name
from synth.cli.report.page import Chapter, Figure, Table
from synth.cli.report.rankings import ranking
from synth.cli.report.sources import ReportInput
from synth.cli.report.wording import distinct, shown
from synth.schemas.phrases import listed, plural

__all__ = ["vocabulary"]

COLUMNS = {"form", "count", "step", "tag"}

MOST_TAGS = 20
MOST_FORMS = 8


def vocabulary(sources: Sequence[ReportInput]) -> Chapter | None:
    """None if no input has a vocabulary."""
    beside = {source.name: source.side_table("vocabulary", COLUMNS) for source in sources}
    tables = {name: table for name, table in beside.items() if table is not None}
    if not tables:
        return None
    kept = {
        name: table.filter(pc.is_valid(table["tag"])).select(["tag", "form", "count"]) for name, table in tables.items()
    }
    merged = {name: found for name, table in kept.items() if (found := _merged(table))}
    longest = max((found[0]["form_count"] for found in merged.values()), default=0)
    figures = [_steps(tables), *(_several_forms(name, kept[name], found, longest) for name, found in merged.items())]
    return Chapter("vocabulary", "From raw tags to tags", figures=figures)


def _steps(tables: Mapping[Name, pa.Table]) -> Figure:
    """The outcomes of the surface forms by step."""
    known = {name: _outcomes(table) for name, table in tables.items()}
    together = sum(known.values(), Counter[str]())
    became = [
        f"{len(table):,} forms became {plural(pc.count_distinct(table['tag']).as_py(), 'tag')} in {name}"
        for name, table in tables.items()
    ]
    labels = {outcome: outcome for outcome, _ in together.most_common()}
    return ranking(f"Normalization: {listed(became)}", "step", labels, known, "surface forms")


def _outcomes(table: pa.Table) -> Counter[str]:
    outcomes = pa.table({"step": table["step"], "dropped": pc.is_null(table["tag"])})
    counted = outcomes.group_by(["step", "dropped"]).aggregate([([], "count_all")])
    return Counter({_outcome(row["step"], dropped=row["dropped"]): row["count_all"] for row in counted.to_pylist()})


def _outcome(step: str | None, *, dropped: bool) -> str:
    if step is None:
        return "dropped" if dropped else "unchanged"
    return f"{'dropped' if dropped else 'merged'} by {shown(step)}"


def _merged(table: pa.Table) -> list[dict[str, Any]]:
    """The tags with the most surface forms, the first with most of all; empty if every tag has one."""
    merged = table.group_by("tag").aggregate([("form", "count"), ("count", "sum")])
    merged = merged.filter(pc.greater(merged["form_count"], 1))
    rows: list[dict[str, Any]] = (
        merged.sort_by([("form_count", "descending"), ("tag", "ascending")]).slice(0, MOST_TAGS).to_pylist()
    )
    return rows


def _several_forms(name: Name, table: pa.Table, merged: Sequence[Mapping[str, Any]], longest: int) -> Figure:
    labels = distinct([row["tag"] for row in merged], 32)
    items = [
        Bar(label, "", row["form_count"], f"{row['form_count']:,}") for label, row in zip(labels, merged, strict=True)
    ]
    rows = [
        [label, f"{row['form_count']:,}", f"{row['count_sum']:,}", _most_common_forms(table, row["tag"])]
        for label, row in zip(labels, merged, strict=True)
    ]
    return Figure(
        f"Tags with several surface forms in {name}: {labels[0]} has the most",
        bars(items, [name], "surface forms of the tag", longest=longest),
        numbers=Table(["tag", "forms", "queries", "most common forms"], rows),
    )


def _most_common_forms(table: pa.Table, tag: str) -> str:
    forms = table.filter(pc.equal(table["tag"], tag)).sort_by([("count", "descending")])["form"]
    more = f" and {len(forms) - MOST_FORMS:,} more" if len(forms) > MOST_FORMS else ""
    return ", ".join(shown(form, 32) for form in forms.slice(0, MOST_FORMS).to_pylist()) + more
