"""Printing data: the console, panels, bars, facts in columns.

Text from data is shown literally: markup is not interpreted, and control characters are escaped.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.dataset import Dataset

__all__ = [
    "DataConsole",
    "add_bars",
    "bar",
    "grid",
    "indented",
    "line",
    "literal",
    "panel",
    "provenance",
]

# A label, and pairs of a count and its total.
BarLine = tuple[Text, Sequence[tuple[int, int]]]
EIGHTHS = " ▏▎▍▌▋▊▉"
# C0 and C1 except tab and newline, characters that reorder text, and other line ends.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class DataConsole(Console):
    """Standard output for data: as wide as the terminal, 80 columns wide in a pipe."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            # Escape characters that the locale cannot encode.
            sys.stdout.reconfigure(errors="backslashreplace")
        super().__init__(highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Leave it to `main`; rich itself would exit with 1."""
        raise BrokenPipeError


def literal(text: str) -> str:
    """`text` with characters escaped that could move the cursor or reorder a line."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def line(text: str) -> str:
    """`literal`, on one line."""
    return literal(text).replace("\n", "\\n").replace("\t", "\\t")


def provenance(dataset: "Dataset | None") -> list[str]:
    """Facts about a dataset directory, as far as they are known: its rows, the stage that wrote it, and when."""
    if not dataset:
        return []
    run = dataset.run or {}
    made = [run.get("identity", {}).get("stage"), run.get("finished")]
    rows = dataset.row_count()
    return [*([] if rows is None else [plural(rows, "row")]), *(str(fact) for fact in made if fact)]


def grid(style: str = "", *, gap: int = 2, widest: int | None = None) -> Table:
    """A table without lines, whose first column is for labels, truncated beyond `widest`."""
    table = Table.grid(padding=(0, gap, 0, 0))
    table.add_column(style=style, no_wrap=True, overflow="ellipsis", max_width=widest)
    return table


def bar(share: float, width: int) -> Text:
    """A bar of up to `width` cells; any share above 0 is visible."""
    eighths = max(round(share * width * 8), 1 if share else 0)
    return Text(("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width), "green")


def add_bars(table: Table, lines: Iterable[BarLine], width: int, longest: float = 1.0) -> None:
    """A row for each line: its label, then for each count a bar, the number and its share of the total.

    The share `longest` fills the `width` of a bar.
    """
    for label, counts in lines:
        cells: list[Text | str] = []
        for count, total in counts:
            share = count / total if total else 0.0
            cells += [bar(share / longest, width), f"{count:,}", f"{share:.1%}"]
        table.add_row(label, *cells)
    for number, column in enumerate(table.columns[1:]):
        column.no_wrap = True
        column.justify = "right" if number % 3 else "left"


def indented(part: RenderableType, by: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, by))


def panel(title: str, parts: Iterable[RenderableType]) -> Panel:
    return Panel(Group(*parts), title=Text(literal(title)), title_align="left", border_style="dim")
