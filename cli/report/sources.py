"""The inputs of a report, each read once and named by the shortest unique end of its path."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.cli.progress import reading
from synth.cli.report.frame import Name
from synth.cli.report.wording import distinct
from synth.schemas.dataset import Dataset
from synth.schemas.inspecting.statistics import ColumnStatistics, Survey, survey
from synth.schemas.layout import Layout
from synth.schemas.reading.inputs import Input, locate

__all__ = ["ReportInput", "opened"]


@dataclass(frozen=True)
class ReportInput:
    """`name` is safe to display; `run` is empty if `synth` did not write the input."""

    name: Name
    input: Input
    survey: Survey

    @property
    def run(self) -> Mapping[str, Any]:
        return self.input.run

    @property
    def counts(self) -> Mapping[str, Any]:
        counts: Mapping[str, Any] = self.run.get("counts", {})
        return counts

    @property
    def rows(self) -> int:
        return self.survey.statistics.rows

    @property
    def columns(self) -> Mapping[str, ColumnStatistics]:
        return {column.name: column for column in self.survey.statistics.columns}

    def side_table(self, folder: str, columns: Set[str]) -> pa.Table | None:
        """The table in a folder beside the rows, memory-mapped; None if there is none with rows and these columns."""
        path = self.input.dataset.path / folder if self.input.dataset else None
        if not path or not Layout(path).state.is_file():
            return None
        table = Dataset.open(path).table
        return table if columns <= {*table.column_names} and table.num_rows else None


def opened(specs: Sequence[str]) -> list[ReportInput]:
    """Raises `InputError` for an input that cannot be read."""
    located = [locate(spec) for spec in specs]
    return [ReportInput(name, found, _surveyed(found)) for name, found in zip(_names(specs), located, strict=True)]


def _surveyed(found: Input) -> Survey:
    with reading("report", found) as observe:
        return survey(found, observe)


def _names(specs: Sequence[str]) -> list[Name]:
    """The shortest ends of the paths that are all different."""
    paths = [Path(spec).parts or (spec,) for spec in specs]
    for length in range(1, max(map(len, paths)) + 1):
        ends = ["/".join(parts[-length:]) for parts in paths]
        if len(set(ends)) == len(ends):
            break
    return [Name(name, position) for position, name in enumerate(distinct(ends, 32))]
