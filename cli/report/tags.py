"""Tagged datasets (InsTag, arXiv 2308.07074): frequent tags, tags per query, pairs of tags."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from synth.cli.report.charts import Point, curves, squares
from synth.cli.report.distributions import bin_counts, distribution
from synth.cli.report.frame import Name
from synth.cli.report.page import Chapter, Figure, Table
from synth.cli.report.rankings import one_bar_each, ranking
from synth.cli.report.sources import ReportInput
from synth.cli.report.wording import distinct, percent, shown
from synth.cli.summaries import number
from synth.schemas.errors import InputError
from synth.schemas.inspecting.histogram import Tally, joint_spreads
from synth.schemas.phrases import listed

if TYPE_CHECKING:
    from synth.pipelines.instag.measure import Measures

__all__ = ["tags"]

MOST_BARS = 20
# With several inputs each tag has several bars.
MOST_GROUPS = 12
MOST_SQUARES = 14

Measured = Mapping[Name, "Measures"]


def tags(sources: Sequence[ReportInput], named: str | None = None) -> Iterator[Chapter]:
    """A chapter on the tags in the column `named` (by default `tags`), and one on the `raw_tags` of the other inputs.

    Raises `InputError` if no input has the column `named`.
    """
    normal = [source for source in sources if _has_tags(source, named)]
    if named and not normal:
        raise InputError(f"--tags {named}: none of the inputs has a column {named} with lists of tags")
    if normal:
        others = [source.name for source in sources if source not in normal]
        lacking = [f"{listed(others)}: no lists of tags in a column {shown(named or 'tags')}."] if others else []
        yield _chapter(normal, named or "tags", "tags", "Tags", lacking)
    raw = [source for source in sources if source not in normal and _has_tags(source, "raw_tags")]
    if raw and not named:
        yield _chapter(raw, "raw_tags", "raw-tags", "Tags as the model wrote them", [])


def _has_tags(source: ReportInput, named: str | None) -> bool:
    from synth.pipelines.instag.tagsets import tag_column

    try:
        tag_column(source.survey.schema, named)
    except InputError:
        return False
    return source.rows > 0


def _chapter(sources: Sequence[ReportInput], column: str, anchor: str, title: str, unshown: Sequence[str]) -> Chapter:
    from synth.pipelines.instag.measure import measure

    found = measure([source.input for source in sources], column)
    measured = {source.name: measures for source, measures in zip(sources, found, strict=True)}
    names = [count.tag for count in found[0].tags]
    if not names:
        return Chapter(anchor, title, facts=_facts(measured), unshown=[*unshown, "Charts of tags: no row has any."])
    labels = dict(zip(names, distinct(names, 32), strict=True))
    figures = [_per_query(measured), _ranks(measured)]
    if len(measured) > 1:
        figures += [_complexity(measured), _diversity(measured)]
    figures += [_commonest(measured, labels), *_together(measured, labels)]
    return Chapter(anchor, title, facts=_facts(measured), figures=figures, unshown=unshown)


def _facts(measured: Measured) -> Table:
    unit, _ = _unit(measured)
    return Table.of(
        [
            {
                "dataset": name,
                "rows": f"{found.rows:,}",
                "without any tag": f"{found.untagged:,}",
                "queries": f"{found.queries:,}",
                f"complexity: mean tags per {unit}": f"{found.complexity:.2f}",
                "different tags": f"{found.distinct:,}",
                "diversity: share of all tags": ""
                if found.diversity is None
                else f"{found.covered:,} of {found.vocabulary:,}, {found.diversity:.1%}",
            }
            for name, found in measured.items()
        ]
    )


def _unit(measured: Measured) -> tuple[str, str]:
    """The unit per which tags are counted, in singular and plural."""
    is_query = any(found.unit == "query" for found in measured.values())
    return ("query", "queries") if is_query else ("row", "rows")


def _per_query(measured: Measured) -> Figure:
    unit, units = _unit(measured)
    has_chats = any(found.queries > found.rows for found in measured.values())
    counted = {name: Tally.of(found.tags_per_query) for name, found in measured.items() if found.tags_per_query}
    named = dict(zip(counted, joint_spreads(list(counted.values())), strict=True))
    means = [f"{found.complexity:.2f} in {name}" for name, found in measured.items()]
    return Figure(
        f"Tags per {unit}: on average {listed(means)}",
        distribution(named, f"tags of a {unit}", units),
        numbers=Table([f"tags of a {unit}", *named], bin_counts(named)),
        note="Each turn of a chat counts as the mean of the chat, rounded." if has_chats else "",
    )


def _complexity(measured: Measured) -> Figure:
    unit, _ = _unit(measured)
    most = max(measured, key=lambda name: measured[name].complexity)
    amounts = {name: found.complexity for name, found in measured.items()}
    title = f"Complexity: {most} has the most tags per {unit}"
    return one_bar_each(title, amounts, f"mean tags per {unit}", "{:.2f}".format)


def _diversity(measured: Measured) -> Figure:
    amounts = {name: found.diversity or 0.0 for name, found in measured.items()}
    covered = [f"{percent(share)} in {name}" for name, share in amounts.items()]
    title = f"Diversity: of the tags that occur in any of these {listed(covered)}"
    return one_bar_each(title, amounts, "share of all tags", percent, share=True)


def _commonest(measured: Measured, labels: Mapping[str, str]) -> Figure:
    several = len(measured) > 1
    counts = {name: {count.tag: count.rows for count in found.tags} for name, found in measured.items()}
    wholes = {name: found.rows for name, found in measured.items()}
    first, label = next(iter(labels.items()))
    held = [
        f"{percent(counts[name][first], wholes[name])} of the rows" + (f" of {name}" if several else "")
        for name in measured
    ]
    title = f"The most common tag, {label}, is in {listed(held)}"
    return ranking(title, "tag", labels, counts, wholes=wholes, most=MOST_GROUPS if several else MOST_BARS)


def _ranks(measured: Measured) -> Figure:
    """How quickly tags become rare."""
    frequencies = {
        name: sorted((count.rows / found.rows for count in found.tags if count.rows), reverse=True)
        for name, found in measured.items()
    }
    points = [Point(name, rank, share) for name, known in frequencies.items() for rank, share in enumerate(known, 1)]
    rank = min(10, *(len(known) for known in frequencies.values() if known))
    found_in = [f"{percent(known[rank - 1])} of {name}" for name, known in frequencies.items() if known]
    return Figure(
        f"How quickly tags become rare: number {rank} is in {listed(found_in)}",
        curves(points, "rank of the tag by its frequency", "share of the rows", logarithmic="xy", share=True),
    )


def _together(measured: Measured, labels: Mapping[str, str]) -> Iterator[Figure]:
    """The most frequent pairs of tags in each dataset."""
    strongest = max((pair.rows / found.rows for found in measured.values() for pair in found.pairs), default=0)
    for name, found in measured.items():
        pairs = sorted((pair for pair in found.pairs if pair.rows), key=lambda pair: -pair.rows)
        if not pairs:
            continue
        corner = list(dict.fromkeys(labels[tag] for pair in pairs for tag in (pair.second, pair.first)))[:MOST_SQUARES]
        cells = {}
        for pair in pairs:
            first, second = labels[pair.first], labels[pair.second]
            if first in corner and second in corner:
                cells[first, second] = cells[second, first] = pair.rows
        rows = [
            {
                "tag": labels[pair.first],
                "with tag": labels[pair.second],
                "rows with both": f"{pair.rows:,} ({percent(pair.rows, found.rows)})",
                "of the rows with the first": "" if pair.confidence is None else percent(pair.confidence),
                "times as often as by chance": "" if pair.lift is None else number(round(pair.lift, 2)),
            }
            for pair in pairs
        ]
        yield Figure(
            f"Tags that go together in {name}: most often {labels[pairs[0].first]} with {labels[pairs[0].second]}",
            squares(name, corner, cells, "rows", found.rows, strongest),
            numbers=Table.of(rows),
            note="The stronger the colour, the larger the share of rows with both tags; pairs without a square are not "
            f"among the {len(found.pairs)} most common.",
        )
