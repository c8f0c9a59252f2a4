"""The columns of any dataset: text lengths, distributions of numbers, frequent values."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from synth.cli.report.distributions import bin_counts, distribution
from synth.cli.report.frame import Name
from synth.cli.report.page import Chapter, Figure, Table
from synth.cli.report.rankings import ranking
from synth.cli.report.sources import ReportInput
from synth.cli.report.wording import distinct, percent, shown
from synth.cli.summaries import number
from synth.schemas.inspecting.histogram import Spread, joint_spreads
from synth.schemas.inspecting.statistics import ColumnStatistics
from synth.schemas.phrases import listed, plural

__all__ = ["columns"]

MOST_CHARTS = 40
MOST_VALUES = 12
# Columns of ids have no chart.
NAMES = ("id", "_id")

# The columns with the same name and kind, with their inputs.
Group = list[tuple[ReportInput, ColumnStatistics]]


def columns(sources: Sequence[ReportInput]) -> Chapter | None:
    """None if there is no column."""
    figures: list[Figure] = []
    unshown: list[str] = []
    for group in _groups(sources):
        if reason := _uncharted(group):
            unshown.append(f"{_name(group)}{_whose(group, sources)}: {reason}.")
        elif len(figures) < MOST_CHARTS:
            heading = _name(group) + (_whose(group, sources) if len(group) == 1 else "")
            figures.append(_values(group, heading) if _is_categories(group) else _spreads(group, heading))
        else:
            unshown.append(f"{_name(group)}: only the first {MOST_CHARTS} columns have charts; see `synth stats`.")
    return Chapter("columns", "The columns", figures=figures, unshown=unshown) if figures or unshown else None


def _groups(sources: Sequence[ReportInput]) -> Iterator[Group]:
    """In the order of the inputs' columns."""
    groups: dict[tuple[str, str], Group] = {}
    for source in sources:
        for column in source.columns.values():
            kind = column.unit or ("values" if column.values is not None else "numbers" if column.spread else "other")
            groups.setdefault((column.name, kind), []).append((source, column))
    yield from groups.values()


def _uncharted(group: Group) -> str | None:
    """Why the column has no chart, or None if it has one."""
    _, first = group[0]
    if all(column.nulls == source.rows for source, column in group):
        return "there are no values" if any(source.rows for source, _ in group) else "there are no rows"
    if _is_categories(group):
        values = _shares(group)
        return f"it is always {shown(next(iter(values)), 40)}{_null_note(group)}" if len(values) == 1 else None
    if first.name.endswith(NAMES) and first.unit == "characters":
        counts = [f"{column.distinct:,} different ones in {source.name}" for source, column in group if column.distinct]
        return ", ".join(filter(None, ("it names rows", listed(counts))))
    spreads = [column.spread for _, column in group if column.spread]
    if not spreads and any(column.not_finite for _, column in group):
        return "all its values are NaN or infinite"
    if not spreads:
        return f"there is no chart for the type {shown(first.type, 80)}"
    if (low := min(spread.minimum for spread in spreads)) == max(spread.maximum for spread in spreads):
        return f"{'its length' if first.unit else 'it'} is always {_amount(low, first.unit)}{_null_note(group)}"
    return None


def _values(group: Group, heading: str) -> Figure:
    """The most common values; as shares of the rows if there are several inputs."""
    values = list(_shares(group))
    labels = dict(zip(values, distinct(values, 40), strict=True))
    title = f"{heading}: most often {listed(_most_common(group, labels))}"
    counts = {source.name: {value: (column.values or {}).get(value, 0) for value in values} for source, column in group}
    wholes = {source.name: source.rows for source, _ in group}
    return ranking(title, "value", labels, counts, wholes=wholes, most=MOST_VALUES, note=_left_out(group))


def _most_common(group: Group, labels: Mapping[str, str]) -> list[str]:
    """The most common value of each input with its share; inputs with the same value are grouped."""
    found: dict[str, list[str]] = {}
    for source, column in group:
        if column.values:
            value, count = min(column.values.items(), key=lambda item: (-item[1], item[0]))
            where = f" of {source.name}" if len(group) > 1 else ""
            found.setdefault(labels[value], []).append(f"{percent(count, source.rows)} of the rows{where}")
    return [f"{label} in {listed(parts)}" for label, parts in found.items()]


def _spreads(group: Group, heading: str) -> Figure:
    """Histograms of numbers or lengths, with the same bins."""
    filled = [(source, column) for source, column in group if column.spread]
    spreads = joint_spreads([source.survey.tallies[column.name] for source, column in filled])
    named = {source.name: spread for (source, _), spread in zip(filled, spreads, strict=True)}
    _, first = group[0]
    return Figure(
        _spread_title(heading, named, first.unit),
        distribution(named, f"length in {first.unit}" if first.unit else _name(group), "rows"),
        _quantiles(filled, spreads),
        Table([first.unit or "values", *named], bin_counts(named)),
        _left_out(group),
    )


def _spread_title(heading: str, named: Mapping[Name, Spread], unit: str | None) -> str:
    if len(named) == 1:
        (spread,) = named.values()
        median, ninth = _amount(spread.median, unit), number(spread.ninth_decile)
        return f"{heading}: half have at most {median}, nine of ten at most {ninth}"
    (first, spread), *rest = named.items()
    others = [f"{number(each.median)} in {name}" for name, each in rest]
    return f"{heading}: the median is {listed([f'{_amount(spread.median, unit)} in {first}', *others])}"


def _quantiles(filled: Group, spreads: Sequence[Spread]) -> Table:
    rows = []
    for (source, column), spread in zip(filled, spreads, strict=True):
        row = {
            "dataset": source.name,
            "values": f"{sum(spread.bins):,}",
            "minimum": number(spread.minimum),
            "median": number(spread.median),
            "90%": number(spread.ninth_decile),
            "maximum": number(spread.maximum),
        }
        words = source.survey.words.get(column.name)
        if words and (counted := words.spread()):
            row |= {"median in words": number(counted.median), "90% in words": number(counted.ninth_decile)}
        rows.append(row)
    return Table.of(rows)


def _left_out(group: Group) -> str:
    nulls = [f"{percent(column.nulls, source.rows)} of {source.name}" for source, column in group if column.nulls]
    not_finite = sum(column.not_finite for _, column in group)
    notes = [f"Null in {listed(nulls)}."] if nulls else []
    notes += [f"{not_finite:,} values that are NaN or infinite are left out."] if not_finite else []
    return " ".join(notes)


def _null_note(group: Group) -> str:
    nulls = sum(column.nulls for _, column in group)
    return f", except for {plural(nulls, 'null')}" if nulls else ""


def _whose(group: Group, sources: Sequence[ReportInput]) -> str:
    return "" if len(group) == len(sources) else f" of {listed([source.name for source, _ in group])}"


def _is_categories(group: Group) -> bool:
    return all(column.values is not None for _, column in group)


def _shares(group: Group) -> Mapping[str, float]:
    """The values of all inputs with the sums of their shares, the most common first."""
    shares: Counter[str] = Counter()
    for source, column in group:
        shares.update({value: count / source.rows for value, count in (column.values or {}).items()})
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _name(group: Group) -> str:
    return shown(group[0][1].name, 40)


def _amount(value: float, unit: str | None) -> str:
    if unit is None:
        return number(value)
    return f"{number(value)} {unit.removesuffix('s') if value == 1 else unit}"
