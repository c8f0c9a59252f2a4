"""The page: chapters of figures and tables, and their HTML.

It is one file without scripts: charts are rendered when it is written, and its content security policy forbids running
or fetching anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from synth.cli.report.drawing import draw
from synth.cli.report.frame import Chart
from synth.pipelines.runtime.software import synth_version

__all__ = ["GENERATOR", "Chapter", "Figure", "Table", "html"]

# Marks a file as a report that the next one may replace.
GENERATOR = '<meta name="generator" content="synth report'


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column has the row headers, the others have numbers unless it is `textual`."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    textual: bool = False

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, str]]) -> "Table":
        """A row per mapping and a column per key, empty where a mapping lacks it."""
        head = list(dict.fromkeys(key for row in rows for key in row))
        return cls(head, [[row.get(key, "") for key in head] for row in rows])


@dataclass(frozen=True)
class Figure:
    """A titled chart with its data: `facts` are always visible below it, `numbers` are collapsed."""

    title: str
    chart: Chart
    facts: Table | None = None
    numbers: Table | None = None
    note: str = ""

    @property
    def drawing(self) -> str:
        return draw(self.chart, self.title)


@dataclass(frozen=True)
class Chapter:
    """`name` is its anchor on the page; `unshown` lists what has no chart, and why."""

    name: str
    title: str
    paragraphs: Sequence[str] = ()
    facts: Table | None = None
    figures: Sequence[Figure] = ()
    unshown: Sequence[str] = ()


def html(title: str, chapters: Sequence[Chapter]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(title=title, chapters=chapters, version=synth_version())
