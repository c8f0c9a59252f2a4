"""`synth diff`: in what two dataset directories differ: settings, counts, columns, rows."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.readable import json_text, readable
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from synth.schemas.dataset import Dataset
    from synth.schemas.inspecting.comparison import Comparison, Side

__all__ = ["diff", "settings_part"]

# Characters of values that are shown as old → new: both in a row, either in the settings.
SHORT = 60
BRIEF = 120
# Of a long text: characters around a change, of one change, and of all that is shown.
CONTEXT = 40
CHANGE = 400
SHOWN = 1600
# Texts of more words are compared by lines, and those of more lines as they are.
MOST_TOKENS = 40_000
# A single word, with the spaces around it, that two changes have between them is better shown as part of one.
LEAST_COMMON = 4
WORDS = r"\s+|\S+"
LINES = r".*\n|.+\Z"
DIGEST = r"[0-9a-f]{32,}"

Change = tuple[str, Any, Any]


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="Dataset directory.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Dataset directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="How many rows to show that differ, and of those that one side lacks.")
    ] = 3,
) -> None:
    """Show in what two datasets differ.

    Settings, counts and columns are compared, and rows, which are matched by id.

    The exit code is 0 where the rows are equal, in whatever order, 1 where they differ, and 2 where they cannot be
    compared.
    """
    from synth.schemas.inspecting.comparison import compare

    a, b = _opened(first), _opened(second)
    found = compare(a, b)
    if as_json:
        print(json_text(_document(a, b, found, rows), indent=1))
    else:
        from synth.cli.rendering import DataConsole

        console = DataConsole()
        for part in _page(a, b, found, rows):
            console.print(part)
    if not found.equal:
        raise typer.Exit(1)


def _opened(spec: str) -> "Dataset":
    from synth.schemas.errors import InputError
    from synth.schemas.reading.inputs import locate

    dataset = locate(spec).dataset
    if dataset is None:
        raise InputError(f"{spec} is not a dataset directory: make one of it with `synth import {spec} OUTPUT`")
    return dataset


def _settings(a: "Dataset", b: "Dataset") -> list[Change]:
    """Identities, and the versions of the software, which may explain what those do not."""
    from synth.schemas.writing.publication import differences

    old, new = ({**run.get("identity", {}), "software": run.get("software", {})} for run in (a.run or {}, b.run or {}))
    return differences(old, new)


def _counts(a: "Dataset", b: "Dataset") -> list[Change]:
    from synth.schemas.writing.publication import differences

    old, new = ({"input_rows": run.get("input_rows"), **run.get("counts", {})} for run in (a.run or {}, b.run or {}))
    return [(name, before or 0, after or 0) for name, before, after in differences(old, new) if before or after]


def _document(a: "Dataset", b: "Dataset", found: "Comparison", number: int) -> dict[str, Any]:
    def listed(changes: Sequence[Change]) -> list[dict[str, Any]]:
        return [{"field": field, "a": old, "b": new} for field, old, new in changes]

    return {
        "a": str(a.path),
        "b": str(b.path),
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
    """Names of the first rows that differ, with the columns in which they do."""
    pairs = zip(found.a.changed[:number].tolist(), found.b.changed[:number].tolist(), strict=True)
    for row_a, row_b in pairs:
        old, new = found.a.values(row_a), found.b.values(row_b)
        # By what Python writes: NaN is equal to itself.
        changed = [name for name in found.by_column if repr(old[name]) != repr(new[name])]
        yield found.a.name(row_a), [(name, readable(old[name]), readable(new[name])) for name in changed]


def _page(a: "Dataset", b: "Dataset", found: "Comparison", number: int) -> "Iterator[RenderableType]":
    from rich.text import Text

    from synth.cli.rendering import literal

    for mark, style, dataset, side in (("---", "red", a, found.a), ("+++", "green", b, found.b)):
        run = dataset.run or {}
        facts = [plural(side.rows, "row"), run.get("identity", {}).get("stage"), run.get("finished")]
        yield Text(literal("  ".join(map(str, filter(None, (f"{mark} {dataset.path}", *facts))))), style)
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


def settings_part(changes: Sequence[Change]) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.text import Text

    from synth.cli.rendering import literal

    texts = {name for name, *sides in changes if any(isinstance(side, str) and "\n" in side for side in sides)}
    # The digest of a text that is shown says nothing more.
    digests = {f"{name.rpartition('.')[0]}.sha256" for name in texts}
    for name, old, new in changes:
        if name in texts:
            yield Padding(Text(literal(name), "cyan"), (0, 0, 0, 2))
            yield Padding(_unified(old, new), (0, 0, 0, 4))
        elif name not in digests:
            yield Padding(Text.assemble((f"{literal(name)}  ", "cyan"), _replaced(old, new)), (0, 0, 0, 2))


def _counts_part(changes: Sequence[Change]) -> "Iterator[RenderableType]":
    from rich.table import Table
    from rich.text import Text

    from synth.cli.rendering import literal

    if not changes:
        return
    table = Table(box=None, pad_edge=True, header_style="dim", padding=(0, 1))
    table.add_column()
    for header in ("A", "B", "B - A"):
        table.add_column(header, justify="right", no_wrap=True)
    for name, old, new in changes:
        old, new = old or 0, new or 0
        table.add_row(Text(literal(f" {name}"), "cyan"), f"{old:,.10g}", f"{new:,.10g}", f"{new - old:+,.10g}")
    yield table


def _columns_part(found: "Comparison") -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.text import Text

    from synth.cli.rendering import literal

    for title, names in (("only in A", found.columns_only_a), ("only in B", found.columns_only_b)):
        if names:
            yield Padding(literal(f"{title}: {', '.join(names)}"), (0, 0, 0, 2))
    for name, (old, new) in found.types.items():
        yield Text.assemble((f"  {literal(name)}  ", "cyan"), _replaced(old, new))


def _rows_part(found: "Comparison", number: int) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.text import Text

    from synth.cli.rendering import literal

    different = len(found.a.changed)
    parts = [f"{found.same:,} equal"]
    if different:
        parts.append(f"{different:,} different")
    parts += [f"{len(s.only):,} only in {name}" for name, s in (("A", found.a), ("B", found.b)) if len(s.only)]
    yield f"  {', '.join(parts)}" + (", in another order" if found.moved else "")
    if not found.a.has_ids:
        yield Text("  matched by place, for want of ids", "dim")
    if found.by_column:
        counts = ", ".join(f"{literal(name)} in {count:,}" for name, count in found.by_column.items())
        yield Padding(f"different: {counts}", (0, 0, 0, 2))
    for title, side in (("only in A", found.a), ("only in B", found.b)):
        if number and len(side.only):
            more = len(side.only) - number
            names = [*_names(side, number), *([f"and {more:,} more"] if more > 0 else [])]
            yield Padding(literal(f"{title}: {', '.join(names)}"), (0, 0, 0, 2))
    for name, changes in _changed_rows(found, number):
        yield _row_panel(name, changes)
    if number and different > number:
        yield Text(f"and {different - number:,} more rows that differ", "dim")


def _row_panel(title: str, changes: Sequence[Change]) -> "RenderableType":
    from rich.console import Group
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.text import Text

    from synth.cli.rendering import literal

    parts: list[RenderableType] = []
    for name, old, new in changes:
        short = all(not isinstance(side, str) or "\n" not in side for side in (old, new))
        if short and len(json_text(old)) + len(json_text(new)) <= SHORT:
            parts.append(Text.assemble((f"{literal(name)}  ", "cyan"), _replaced(old, new)))
        else:
            before, after = (side if isinstance(side, str) else json_text(side) for side in (old, new))
            parts += [Text(literal(name), "bold cyan"), Padding(_inline(before, after), (0, 0, 0, 2))]
    return Panel(Group(*parts), title=Text(literal(title)), title_align="left", border_style="dim")


def _replaced(old: Any, new: Any) -> "Text":
    from rich.text import Text

    return Text.assemble((_brief(old), "red"), " → ", (_brief(new), "green"))


def _brief(value: Any) -> str:
    from synth.cli.rendering import literal

    text = value if isinstance(value, str) and value else json_text(value)
    if re.fullmatch(DIGEST, text):
        return f"{text[:12]}…"
    return literal(text if len(text) <= BRIEF else f"{text[:BRIEF]}…")


def _unified(old: str | None, new: str | None) -> "Text":
    from difflib import unified_diff

    from rich.text import Text

    from synth.cli.rendering import literal

    styles = {"-": "red", "+": "green", "@": "dim"}
    lines = list(unified_diff((old or "").splitlines(), (new or "").splitlines(), n=2, lineterm=""))[2:]
    return Text("\n").join(Text(literal(line), styles.get(line[:1], "")) for line in lines)


def _inline(old: str, new: str) -> "Text":
    """Both texts as one, changes as [-old-]{+new+}, and of what is common only what lies around them."""
    from rich.text import Text

    from synth.cli.rendering import literal

    shown = Text()
    changes = list(_changes(old, new))
    end = 0
    for number, (gone, come) in enumerate(changes):
        if len(shown) > SHOWN:
            return shown.append(f"\n… {len(changes) - number:,} more changes", "dim")
        shown.append(literal(_around(old[end : gone.start], is_first=number == 0)))
        if old[gone]:
            shown.append(f"[-{literal(_cut(old[gone]))}-]", "red")
        if new[come]:
            shown.append(f"{{+{literal(_cut(new[come]))}+}}", "green")
        end = gone.stop
    return shown.append(literal(_around(old[end:], is_last=True)))


def _changes(old: str, new: str) -> Iterator[tuple[slice, slice]]:
    """The stretches of `old`, and those of `new` that stand in their place."""
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


def _narrowed(old: str, new: str, gone: slice, come: slice) -> tuple[slice, slice]:
    """Long stretches without what they begin and end with alike: not every script puts spaces between its words."""
    from rapidfuzz.distance import Postfix, Prefix

    before, after = old[gone], new[come]
    if min(len(before), len(after)) <= CONTEXT:
        return gone, come
    head = Prefix.similarity(before, after)
    tail = Postfix.similarity(before[head:], after[head:])
    return slice(gone.start + head, gone.stop - tail), slice(come.start + head, come.stop - tail)


def _tokens(old: str, new: str) -> tuple[list[str], list[str]]:
    """Both texts in words and spaces, or in larger pieces where these are too many to be compared."""
    for pieces in (WORDS, LINES):
        before, after = (re.findall(pieces, text) for text in (old, new))
        if max(len(before), len(after)) <= MOST_TOKENS:
            return before, after
    return [old], [new]


def _around(common: str, *, is_first: bool = False, is_last: bool = False) -> str:
    """The ends of a common stretch that lie beside changes."""
    head = "" if is_first else common[:CONTEXT]
    tail = "" if is_last else common[-CONTEXT:]
    return common if len(common) <= len(head) + len(tail) + 1 else f"{head}…{tail}"


def _cut(text: str) -> str:
    return text if len(text) <= CHANGE else f"{text[:CHANGE]}… {len(text):,} characters"
