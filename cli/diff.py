"""`synth diff`: how two dataset directories differ: settings, counts, columns, rows."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synth.cli.readable import json_text, readable, shortened, text_of
from synth.cli.rendering import DataConsole, indented, line, literal, panel, provenance
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.dataset import Dataset
    from synth.schemas.inspecting.comparison import Comparison, Side

__all__ = ["diff", "settings_part"]

# Most characters of values shown as old → new: of both together in a row, of each in the settings.
SHORT = 60
BRIEF = 120
# Texts with longer lines are compared by words, and of other ones this many lines are shown that differ.
LONG_LINE = 240
MOST_LINES = 60
# Characters of a long text shown around a change, of one change, and in total.
CONTEXT = 40
CHANGE = 400
SHOWN = 1600
# Texts with more words than this are compared by lines, and with more lines as a whole.
MOST_TOKENS = 40_000
# Two changes with fewer tokens between them (one word and its spaces) are shown as one.
LEAST_COMMON = 4
WORDS = r"\s+|\S+"
LINES = r".*\n|.+\Z"
DIGEST = r"[0-9a-f]{32,}"

Change = tuple[str, Any, Any]


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="Dataset directory, or its URL in an object store.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Dataset directory, or its URL in an object store.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    rows: Annotated[
        int,
        typer.Option(
            "--rows", min=0, metavar="INTEGER", help="Rows to show: differing ones, and those of one side only."
        ),
    ] = 3,
) -> None:
    """Show how two datasets differ.

    Settings, counts, columns and rows are compared; rows are matched by id.

    The exit code is 0 if the rows are equal, in any order, 1 if they differ, and 2 if they cannot be compared.
    """
    from synth.schemas.inspecting.comparison import compare

    a, b = _opened(first), _opened(second)
    found = compare(a, b)
    if as_json:
        print(json_text(_document(a, b, found, rows), indent=1))
    else:
        DataConsole().print(Group(*_page(a, b, found, rows)))
    if not found.equal:
        raise typer.Exit(1)


def _opened(spec: str) -> "Dataset":
    from synth.schemas.errors import InputError
    from synth.schemas.reading.inputs import locate

    dataset = locate(spec).dataset
    if dataset is None:
        raise InputError(f"{spec} is not a dataset directory: convert it with `synth import {spec} OUTPUT`")
    return dataset


def _settings(a: "Dataset", b: "Dataset") -> list[Change]:
    """Changes of the identity and of software versions, either of which may explain differences between rows."""
    return _run_changes(a, b, lambda run: {**run.get("identity", {}), "software": run.get("software", {})})


def _counts(a: "Dataset", b: "Dataset") -> list[Change]:
    changes = _run_changes(a, b, lambda run: {"input_rows": run.get("input_rows"), **run.get("counts", {})})
    return [(name, old or 0, new or 0) for name, old, new in changes if old or new]


def _run_changes(a: "Dataset", b: "Dataset", part: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Change]:
    from synth.schemas.writing.changes import differences

    return differences(part(a.run or {}), part(b.run or {}))


def _document(a: "Dataset", b: "Dataset", found: "Comparison", number: int) -> dict[str, Any]:
    def listed(changes: Sequence[Change]) -> list[dict[str, Any]]:
        return [{"field": field, "a": old, "b": new} for field, old, new in changes]

    return {
        "a": str(a),
        "b": str(b),
        "equal": found.equal,
        "settings": listed(_settings(a, b)),
        "counts": listed(_counts(a, b)),
        "columns": {"only_a": found.columns_only_a, "only_b": found.columns_only_b, "types": found.types},
        "rows": {
            "a": found.a.rows,
            "b": found.b.rows,
            "same": found.same,
            "only_a": len(found.a.only),
            "only_b": len(found.b.only),
            "different": len(found.a.changed),
            "different_by_column": found.by_column,
            "moved": found.moved,
        },
        "only_a": _names(found.a, number),
        "only_b": _names(found.b, number),
        "different": [
            {"row": name, "columns": {column: {"a": old, "b": new} for column, old, new in changes}}
            for name, changes in _changed_rows(found, number)
        ],
    }


def _names(side: "Side", number: int) -> list[str]:
    return [side.name(row) for row in side.only[:number].tolist()]


def _changed_rows(found: "Comparison", number: int) -> Iterator[tuple[str, list[Change]]]:
    """Names of the first rows that differ, with the columns that do."""
    pairs = zip(found.a.changed[:number].tolist(), found.b.changed[:number].tolist(), strict=True)
    for row_a, row_b in pairs:
        old, new = found.a.values(row_a), found.b.values(row_b)
        # Compared by `repr`, so that NaN equals itself.
        changed = [name for name in found.by_column if repr(old[name]) != repr(new[name])]
        yield found.a.name(row_a), [(name, readable(old[name]), readable(new[name])) for name in changed]


def _page(a: "Dataset", b: "Dataset", found: "Comparison", number: int) -> Iterator[RenderableType]:
    for mark, style, dataset in (("---", "red", a), ("+++", "green", b)):
        yield Text(literal("  ".join([f"{mark} {dataset}", *provenance(dataset)])), style)
    for title, part in (
        ("settings", settings_part(_settings(a, b))),
        ("counts", _counts_part(_counts(a, b))),
        ("columns", _columns_part(found)),
        ("rows", _rows_part(found, number)),
    ):
        lines = list(part)
        if lines:
            yield Text(f"\n{title}", "bold")
            yield from lines


def settings_part(changes: Sequence[Change]) -> Iterator[RenderableType]:
    # The digest of a text that is shown anyway is redundant.
    digests = {f"{name.rpartition('.')[0]}.sha256" for name, old, new in changes if _is_long(old) or _is_long(new)}
    for name, old, new in changes:
        if name in digests:
            continue
        if None not in (old, new) and (_is_long(old) or _is_long(new)):
            yield indented(Text(literal(name), "cyan"))
            yield indented(_unified(text_of(old), text_of(new)), 4)
        else:
            yield indented(_replaced(name, old, new))


def _is_long(value: Any) -> bool:
    text = text_of(value)
    return len(text) > BRIEF or "\n" in text


def _counts_part(changes: Sequence[Change]) -> Iterator[RenderableType]:
    if not changes:
        return
    table = Table(box=None, pad_edge=True, header_style="dim", padding=(0, 1))
    table.add_column()
    for header in ("A", "B", "B - A"):
        table.add_column(header, justify="right", no_wrap=True)
    for name, old, new in changes:
        table.add_row(Text(literal(f" {name}"), "cyan"), f"{old:,.10g}", f"{new:,.10g}", f"{new - old:+,.10g}")
    yield table


def _columns_part(found: "Comparison") -> Iterator[RenderableType]:
    for title, names in (("only in A", found.columns_only_a), ("only in B", found.columns_only_b)):
        if names:
            yield indented(literal(f"{title}: {', '.join(names)}"))
    for name, (old, new) in found.types.items():
        yield indented(_replaced(name, old, new))


def _rows_part(found: "Comparison", number: int) -> Iterator[RenderableType]:
    different = len(found.a.changed)
    counts = {"different": different, "only in A": len(found.a.only), "only in B": len(found.b.only)}
    parts = [f"{found.same:,} equal", *(f"{count:,} {words}" for words, count in counts.items() if count)]
    yield f"  {', '.join(parts)}" + (", in another order" if found.moved else "")
    if not found.a.has_ids:
        yield Text("  matched by position: there are no ids", "dim")
    if found.by_column:
        columns = ", ".join(f"{literal(name)} in {count:,}" for name, count in found.by_column.items())
        yield indented(f"different: {columns}")
    for title, side in (("only in A", found.a), ("only in B", found.b)):
        if number and len(side.only):
            more = len(side.only) - number
            names = [*_names(side, number), *([f"and {more:,} more"] if more > 0 else [])]
            yield indented(literal(f"{title}: {', '.join(names)}"))
    for name, changes in _changed_rows(found, number):
        yield _row_panel(name, changes)
    if number and different > number:
        yield Text(f"and {different - number:,} more rows that differ", "dim")


def _row_panel(title: str, changes: Sequence[Change]) -> RenderableType:
    parts: list[RenderableType] = []
    for name, old, new in changes:
        short = all(not isinstance(side, str) or "\n" not in side for side in (old, new))
        if short and len(json_text(old)) + len(json_text(new)) <= SHORT:
            parts.append(_replaced(name, old, new))
        else:
            parts += [Text(literal(name), "bold cyan"), indented(_inline(text_of(old), text_of(new)))]
    return panel(title, parts)


def _replaced(name: str, old: Any, new: Any) -> Text:
    return Text.assemble((f"{literal(name)}  ", "cyan"), (_brief(old), "red"), " → ", (_brief(new), "green"))


def _brief(value: Any) -> str:
    text = text_of(value) or '""'
    if re.fullmatch(DIGEST, text):
        return f"{text[:12]}…"
    return line(shortened(text, BRIEF))


def _unified(old: str, new: str) -> Text:
    """The lines that differ, with two around them; if some are long paragraphs, the words instead."""
    from difflib import unified_diff

    styles = {"-": "red", "+": "green", "@": "dim"}
    lines = list(unified_diff(old.splitlines(), new.splitlines(), n=2, lineterm=""))[2:]
    if not lines or max(map(len, lines)) > LONG_LINE:
        return _inline(old, new)
    shown = [Text(literal(one), styles.get(one[:1], "")) for one in lines[:MOST_LINES]]
    if left := len(lines) - len(shown):
        shown.append(Text(f"… {plural(left, 'more line')}", "dim"))
    return Text("\n").join(shown)


def _inline(old: str, new: str) -> Text:
    """Both texts merged, with changes as [-old-]{+new+} and the common text around them."""
    shown = Text()
    changes = list(_changes(old, new))
    end = 0
    for number, (removed, added) in enumerate(changes):
        if len(shown) > SHOWN:
            return shown.append(f"\n… {len(changes) - number:,} more changes", "dim")
        shown.append(literal(_around(old[end : removed.start], is_first=number == 0)))
        if old[removed]:
            shown.append(f"[-{literal(shortened(old[removed], CHANGE))}-]", "red")
        if new[added]:
            shown.append(f"{{+{literal(shortened(new[added], CHANGE))}+}}", "green")
        end = removed.stop
    return shown.append(literal(_around(old[end:], is_last=True)))


def _changes(old: str, new: str) -> Iterator[tuple[slice, slice]]:
    """The changed parts of `old`, each with the part of `new` that replaces it."""
    from itertools import accumulate

    from rapidfuzz.distance import Indel

    before, after = _tokens(old, new)
    blocks: list[tuple[int, int, int, int]] = []
    for change in Indel.opcodes(before, after):
        if change.tag == "equal":
            continue
        begin, begin_new = change.src_start, change.dest_start
        if blocks and begin - blocks[-1][1] < LEAST_COMMON:
            begin, _, begin_new, _ = blocks.pop()
        blocks.append((begin, change.src_end, begin_new, change.dest_end))
    ends, ends_new = ([0, *accumulate(map(len, tokens))] for tokens in (before, after))
    for begin, end, begin_new, end_new in blocks:
        yield _narrowed(old, new, slice(ends[begin], ends[end]), slice(ends_new[begin_new], ends_new[end_new]))


def _narrowed(old: str, new: str, removed: slice, added: slice) -> tuple[slice, slice]:
    """Long changes without their common prefix and suffix: not every script puts spaces between words."""
    from rapidfuzz.distance import Postfix, Prefix

    before, after = old[removed], new[added]
    if min(len(before), len(after)) <= CONTEXT:
        return removed, added
    head = Prefix.similarity(before, after)
    tail = Postfix.similarity(before[head:], after[head:])
    return slice(removed.start + head, removed.stop - tail), slice(added.start + head, added.stop - tail)


def _tokens(old: str, new: str) -> tuple[list[str], list[str]]:
    """Both texts as words and spaces, or as larger pieces if these are too many to compare."""
    for pieces in (WORDS, LINES):
        before, after = (re.findall(pieces, text) for text in (old, new))
        if max(len(before), len(after)) <= MOST_TOKENS:
            return before, after
    return [old], [new]


def _around(common: str, *, is_first: bool = False, is_last: bool = False) -> str:
    """The ends of a common part that are next to changes."""
    head = "" if is_first else common[:CONTEXT]
    tail = "" if is_last else common[-CONTEXT:]
    return common if len(common) <= len(head) + len(tail) + 1 else f"{head}…{tail}"
