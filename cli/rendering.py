"""Printing data: rows as panels, bars, facts in columns.

Text from data is shown literally: markup is not interpreted, and control characters are escaped.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from synth.cli.highlighting import best_part, mark
from synth.cli.readable import json_text, readable, text_of
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from rich.syntax import Syntax

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
    "row_panel",
]

CUT_CHARACTERS = 1500
CUT_LINES = 24
SHORT = 40
# A label, and pairs of a count and its total.
BarLine = tuple[Text, Sequence[tuple[int, int]]]
EIGHTHS = " ▏▎▍▌▋▊▉"
CODE_COLUMNS = {"canonical_solution", "code", "content", "function", "program", "solution", "test"}
CODE = re.compile(r"^\s*(?:(?:async )?def |class |import |from \S+ import |@\w|return\b|(?:if|for) .*:$)", re.MULTILINE)
# The last fence of a truncated text may lack its end.
FENCE = re.compile(r"^```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(^```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
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
    """Facts about a dataset directory: its rows, the stage that wrote it, and when."""
    if not dataset:
        return []
    run = dataset.run or {}
    made = [run.get("identity", {}).get("stage"), run.get("finished")]
    return [plural(dataset.table.num_rows, "row"), *(str(fact) for fact in made if fact)]


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


def row_panel(title: str, row: Mapping[str, Any], *, full: bool = False, words: Collection[str] = ()) -> RenderableType:
    """A panel with the values of a row: consecutive short ones side by side, a long one below its column's name.

    `words` are search terms to highlight in `text`.
    """
    parts: list[RenderableType] = []
    shown = {name: readable(value) for name, value in row.items()}
    for is_short, columns in groupby(shown.items(), key=lambda item: _is_short(item[1])):
        if is_short:
            parts.append(Columns([_pair(name, value) for name, value in columns], padding=(0, 3)))
        else:
            for name, value in columns:
                parts += _block(name, value, full, words if name == "text" else ())
    return panel(title, parts)


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= SHORT and "\n" not in value
    return value is None or not isinstance(value, list | dict) or len(json_text(value)) <= SHORT


def _is_simple(value: Any) -> bool:
    """Whether `value` is a list of short values, which is easier to read on one line."""
    return isinstance(value, list) and all(not isinstance(item, list | dict) and _is_short(item) for item in value)


def _pair(name: str, value: Any) -> Text:
    shown = Text("null", "dim italic") if value is None else _marked(Text(literal(text_of(value))))
    return Text.assemble((f"{literal(name)} ", "cyan"), shown)


def _block(name: str, value: Any, full: bool, words: Collection[str]) -> Iterator[RenderableType]:
    text = text_of(value, None if _is_simple(value) else 1)
    start = 0 if full or len(_cut(text)) == len(text) or not words else best_part(text, words, CUT_CHARACTERS // 2)
    shown = text if full else _cut(text[start:])
    yield Text(literal(name), "bold cyan")
    if start:
        yield indented(Text("…", "dim"))
    for part in _body(name, literal(shown.rstrip("\n")), is_text=isinstance(value, str)):
        if words and isinstance(part, Text):
            mark(part, words)
        yield indented(part)
    if len(shown) < len(text):
        yield indented(Text(f"… {len(text):,} characters", "dim"))


def _cut(text: str) -> str:
    head = text[:CUT_CHARACTERS]
    return "\n".join(head.split("\n")[:CUT_LINES])


def _body(name: str, text: str, *, is_text: bool) -> Iterator[RenderableType]:
    if not is_text:
        yield _syntax(text, "json")
    elif name in CODE_COLUMNS and CODE.search(text):
        yield _syntax(text, "python")
    else:
        yield from _prose(text)


def _prose(text: str) -> Iterator[RenderableType]:
    """Text with its fenced code highlighted."""
    end = 0
    for fence in FENCE.finditer(text):
        if before := text[end : fence.start()].strip("\n"):
            yield _marked(Text(before))
        yield Text(f"```{fence[1]}", "dim")
        yield _syntax(fence[2].rstrip("\n"), fence[1] or "python")
        if fence[3]:
            yield Text("```", "dim")
        end = fence.end()
    if rest := text[end:].strip("\n"):
        yield _marked(Text(rest))


def _marked(text: Text) -> Text:
    """Dim calculator annotations, and set the line of the final answer in bold."""
    text.highlight_regex(r"<<[^<>\n]*>>", "dim green")
    text.highlight_regex(r"(?m)^####.*$", "bold")
    return text


def _syntax(code: str, language: str) -> "Syntax":
    from rich.syntax import Syntax

    return Syntax(code, language, theme="ansi_dark", background_color="default", word_wrap=True)
