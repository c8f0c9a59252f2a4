"""A row as a panel: texts, code, chats and tables as what they are, long ones cut, empty ones only named."""

import ast
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from synth.cli.highlighting import best_part, mark
from synth.cli.readable import json_text, readable, rounded, shortened, text_of
from synth.cli.rendering import indented, literal, panel
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from rich.syntax import Syntax

__all__ = ["row_panel", "with_reason_first"]

Row = Mapping[str, Any]

# Characters and lines shown of a text, and of each of more than two in a list.
CUT = (1500, 24)
CUT_OF_MANY = (500, 8)
# Items shown of a list of texts or messages, and rows and characters of a cell of one that is a table.
MOST_ITEMS = 8
MOST_ROWS = 12
CELL = 200
# More columns do not fit the width of a terminal.
MOST_COLUMNS = 6
SHORT = 40
GAP = "   "
# Names of columns of code; `chosen_code` and `codes` are such names, too.
CODE_NAMES = {"code", "content", "function", "program", "solution", "test"}
CODE = re.compile(r"(?m)^[ \t]*(?:(?:async )?def |class |import |from \S+ import |@\w|return\b|(?:if|for) .*:$)")
# Longer texts are not parsed to find out whether they are code.
LONGEST_CODE = 1 << 18
# The last fence of a truncated text may lack its end.
FENCE = re.compile(r"^```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(^```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
# Who says what, in chats of the two common forms.
CHATS = (("role", "content"), ("from", "value"))


def with_reason_first(row: Row) -> dict[str, Any]:
    """A rejected row, with the columns first that say why."""
    first = [name for name in ("reason", "detail", "model_replies") if name in row]
    return {name: row[name] for name in dict.fromkeys([*first, *row])}


def row_panel(title: str, row: Row, *, full: bool = False, words: Collection[str] = ()) -> RenderableType:
    """A panel with the values of a row: consecutive short ones side by side, a long one below its column's name.

    Nulls, empty values and a long text that another column has already are only named, in the last lines. Floats are
    rounded. `words` are search terms to highlight in `text`.
    """
    parts: list[RenderableType] = []
    shown = {name: rounded(readable(value)) for name, value in row.items()}
    repeated = dict(_repeated(shown))
    filled = [(name, value) for name, value in shown.items() if not _is_empty(value) and name not in repeated]
    for is_short, columns in groupby(filled, key=lambda item: _is_short(item[1])):
        if is_short:
            parts.append(_Flow([_pair(name, value) for name, value in columns]))
        else:
            for name, value in columns:
                parts += _block(name, value, full, words if name == "text" else ())
    for name, first in repeated.items():
        parts.append(Text(literal(f"{name}: the same as {first}"), "dim"))
    return panel(title, [*parts, *_without_value(shown, full)])


def _repeated(values: Row) -> Iterator[tuple[str, str]]:
    """Columns with a long text, alone or in a list, that an earlier column has, with the name of that one."""
    first: dict[str, str] = {}
    for name, value in values.items():
        text = value[0] if _all_are(str, value) and len(value) == 1 else value
        if isinstance(text, str) and not _is_short(text) and first.setdefault(text, name) != name:
            yield name, first[text]


def _all_are(kind: type, value: Any) -> bool:
    """Whether `value` is a list of such values, and not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


class _Flow:
    """Short texts one after the other, as many in a line as fit."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._texts = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        line = Text()
        for text in self._texts:
            if line and line.cell_len + len(GAP) + text.cell_len > options.max_width:
                yield line
                line = Text()
            line = Text.assemble(line, GAP if line else "", text)
        yield line


def _without_value(values: Row, full: bool) -> Iterator[RenderableType]:
    """A line that names nulls and empty values, as many as fit unless they are to be shown in full."""
    nulls = [name for name, value in values.items() if value is None]
    empty = [name for name, value in values.items() if value is not None and _is_empty(value)]
    named = {"null": nulls, "empty": empty}
    if nulls or empty:
        text = "; ".join(f"{word}: {literal(', '.join(names))}" for word, names in named.items() if names)
        yield Text(text, "dim", no_wrap=not full, overflow="ellipsis")


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= SHORT and "\n" not in value
    if _all_are(dict, value) or (_all_are(str, value) and any("\n" in item for item in value)):
        return False
    return not isinstance(value, list | dict) or len(json_text(value)) <= SHORT


def _is_simple(value: Any) -> bool:
    """Whether `value` is a list of short values, which is easier to read on one line."""
    return isinstance(value, list) and all(not isinstance(item, list | dict) and _is_short(item) for item in value)


def _pair(name: str, value: Any) -> Text:
    return Text.assemble((f"{literal(name)} ", "cyan"), _marked(Text(literal(text_of(value)))))


def _block(name: str, value: Any, full: bool, words: Collection[str] = ()) -> Iterator[RenderableType]:
    yield Text(literal(name), "bold cyan")
    for part in _body(name, value, full, words):
        yield indented(part)


def _body(name: str, value: Any, full: bool, words: Collection[str]) -> Iterator[RenderableType]:
    if isinstance(value, str):
        yield from _text(name, value, full, CUT, words)
    elif speaker := _speaker(value):
        yield from _chat(value, *speaker, full)
    elif _all_are(str, value) and not _is_simple(value):
        yield from _texts(name, value, full)
    elif _all_are(dict, value) and len(_names(value)) <= MOST_COLUMNS:
        yield from _table(value, full)
    else:
        text = text_of(value, None if _is_simple(value) else 1)
        shown = text if full else _cut(text, CUT)
        yield _syntax(literal(shown), "json")
        yield from _length(shown, text)


def _text(
    name: str, text: str, full: bool, most: tuple[int, int], words: Collection[str] = ()
) -> Iterator[RenderableType]:
    is_cut = not full and len(_cut(text, most)) < len(text)
    start = best_part(text, words, most[0] // 2) if is_cut and words else 0
    shown = _cut(text[start:], most) if is_cut else text
    if start:
        yield Text("…", "dim")
    safe = literal(shown.rstrip("\n"))
    if language := _language(name, text):
        yield _syntax(safe, language)
    else:
        for part in _prose(safe):
            if words and isinstance(part, Text):
                mark(part, words)
            yield part
    yield from _length(shown, text)


def _length(shown: str, text: str) -> Iterator[RenderableType]:
    if len(shown) < len(text):
        yield Text(f"… {len(text):,} characters", "dim")


def _cut(text: str, most: tuple[int, int]) -> str:
    characters, lines = most
    return "\n".join(text[:characters].split("\n")[:lines])


def _texts(name: str, texts: Sequence[str], full: bool) -> Iterator[RenderableType]:
    """Texts below each other, numbered if there are several."""
    if len(texts) == 1:
        yield from _text(name, texts[0], full, CUT)
        return
    shown = texts if full else texts[:MOST_ITEMS]
    for number, text in enumerate(shown, 1):
        yield Text(f"{number} of {len(texts):,}" + ("" if text.strip() else ": blank"), "magenta")
        if text.strip():
            yield from map(indented, _text(name, text, full, _share(texts)))
    yield from _rest(shown, texts, "text")


def _chat(messages: Sequence[Row], speaker: str, said: str, full: bool) -> Iterator[RenderableType]:
    """Each message below the one who says it, with whatever else it holds."""
    shown = messages if full else messages[:MOST_ITEMS]
    for message in shown:
        yield Text(literal(str(message[speaker])), "magenta")
        text = message[said]
        parts = list(_text("", text, full, _share(messages))) if isinstance(text, str) else []
        for key, value in message.items():
            if key != speaker and value is not text and not _is_empty(value):
                parts += _block(key, value, full)
        yield from map(indented, parts)
    yield from _rest(shown, messages, "message")


def _speaker(value: Any) -> tuple[str, str] | None:
    """The names of who speaks and of what is said in the messages of a chat; None for anything else."""
    if not _all_are(dict, value):
        return None
    return next((keys for keys in CHATS if all(message.keys() >= set(keys) for message in value)), None)


def _share(items: Sequence[Any]) -> tuple[int, int]:
    return CUT if len(items) <= 2 else CUT_OF_MANY


def _rest(shown: Sequence[Any], items: Sequence[Any], noun: str) -> Iterator[RenderableType]:
    if left := len(items) - len(shown):
        yield Text(f"… {plural(left, f'more {noun}')}", "dim")


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _table(rows: Sequence[Row], full: bool) -> Iterator[RenderableType]:
    """Objects as the rows of a table; what is null or empty in all of them is only named."""
    without = {name: None for name in _names(rows) if all(_is_empty(row.get(name)) for row in rows)}
    names = [name for name in _names(rows) if name not in without]
    shown = rows if full else rows[:MOST_ROWS]
    table = Table(box=SIMPLE_HEAD, show_edge=False, header_style="cyan", pad_edge=False)
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(Text(literal(name)), overflow="fold", justify="right" if numeric else "left")
    for row in shown:
        table.add_row(*(_cell(row.get(name), full) for name in names))
    if names:
        yield table
    yield from _rest(shown, rows, "row")
    yield from _without_value(without, full)


def _cell(value: Any, full: bool) -> Text:
    if value is None:
        return Text("null", "dim")
    text = text_of(value)
    return Text(literal(text if full else shortened(text, CELL)))


def _language(name: str, text: str) -> str | None:
    """The language of a text that is nothing but code, or that is in a column of code and looks like some."""
    if text[:1] in ("{", "[") and len(text) <= LONGEST_CODE:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return "json"
    if not CODE.search(text):
        return None
    word = name.rpartition("_")[2]
    return "python" if {word, word.removesuffix("s")} & CODE_NAMES or _is_python(text) else None


def _is_python(text: str) -> bool:
    if len(text) > LONGEST_CODE:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


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
