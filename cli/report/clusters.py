"""The sizes of clusters before and after sampling (ClusterClip, arXiv 2402.14526), from `clusters/` of the output."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.cli.report.charts import Point, curves
from synth.cli.report.frame import MOST_SERIES, Name
from synth.cli.report.page import Chapter, Figure, Table
from synth.cli.report.sources import ReportInput
from synth.cli.report.wording import percent, shown

__all__ = ["clusters"]

COLUMNS = {"cluster", "documents", "drawn", "used_up_at", "nearest"}
# A point of a curve is the mean of several clusters if there are more than these.
MOST_POINTS = 100
MOST_ROWS = 50


def clusters(sources: Sequence[ReportInput]) -> Chapter | None:
    """None if no input was sampled by clusters."""
    found = {source.name: source.side_table("clusters", COLUMNS) for source in sources}
    largest_first = [("documents", "descending"), ("cluster", "ascending")]
    tables = {name: table.sort_by(largest_first) for name, table in found.items() if table is not None}
    if not tables:
        return None
    figures = [_sizes(name, table) for name, table in tables.items()]
    return Chapter("clusters", "Clusters before and after", facts=_facts(tables), figures=figures)


def _facts(tables: Mapping[Name, pa.Table]) -> Table:
    return Table.of(
        [
            {
                "dataset": name,
                "clusters": f"{table.num_rows:,}",
                "documents": f"{table['documents'].to_numpy().sum():,}",
                "draws": f"{table['drawn'].to_numpy().sum():,}",
                "clusters used up": f"{table.num_rows - table['used_up_at'].null_count:,}",
                "clusters with half of the documents": f"{_half(_shares(table, 'documents')):,}",
                "clusters with half of the draws": f"{_half(_shares(table, 'drawn')):,}",
            }
            for name, table in tables.items()
        ]
    )


def _sizes(name: Name, table: pa.Table) -> Figure:
    # The draws have the colour of the input.
    before, after = Name("documents", (name.position + 1) % MOST_SERIES), Name("draws", name.position)
    shares = {before: _shares(table, "documents"), after: _shares(table, "drawn")}
    starts = np.arange(0, table.num_rows, -(-table.num_rows // MOST_POINTS))
    counts = np.diff(starts, append=table.num_rows)
    ranks = starts + (counts + 1) / 2
    points = [
        Point(series, rank, share)
        for series, of_clusters in shares.items()
        for rank, share in zip(ranks.tolist(), (np.add.reduceat(of_clusters, starts) / counts).tolist(), strict=True)
    ]
    rows = [
        [
            str(row["cluster"]),
            f"{row['documents']:,} ({percent(float(shares[before][rank]))})",
            f"{row['drawn']:,} ({percent(float(shares[after][rank]))})",
            ", ".join(shown(each, 32) for each in row["nearest"]),
        ]
        for rank, row in enumerate(table.slice(0, MOST_ROWS).to_pylist())
    ]
    largest = {series: percent(float(of_clusters[0])) for series, of_clusters in shares.items()}
    remarks = [f"Each point is the mean of {counts[0]} clusters."] if counts[0] > 1 else []
    remarks += [f"The table has the {MOST_ROWS} largest."] if table.num_rows > MOST_ROWS else []
    return Figure(
        f"Clusters of {name}: the largest has {largest[before]} of the documents and {largest[after]} of the draws",
        curves(points, "rank of the cluster by its documents", "share of a cluster", logarithmic="x", share=True),
        numbers=Table(["cluster", "documents", "draws", "nearest to its centroid"], rows),
        note=" ".join(remarks),
    )


def _shares(table: pa.Table, column: str) -> NDArray[np.float64]:
    amounts = table[column].to_numpy()
    return np.asarray(amounts / max(1, amounts.sum()))


def _half(shares: NDArray[np.float64]) -> int:
    """How many of the largest have half of all."""
    return int(np.searchsorted(np.cumsum(np.sort(shares)[::-1]), 0.5)) + 1
