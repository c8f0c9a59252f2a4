"""`synth report`: one HTML page of chapters, with charts that Vega-Lite draws.

This is the command; it imports the rest when it runs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.completion import datasets
from synth.pipelines.runtime.declared import path

if TYPE_CHECKING:
    from synth.cli.report.page import Chapter
    from synth.cli.report.sources import ReportInput

__all__ = ["report"]

DEFAULT = Path("report.html")


def report(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Dataset directories, files, globs, or hf:NAME.", autocompletion=datasets
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The page to write.  [default: report.html]", parser=path),
    ] = None,
    tags: Annotated[
        str | None, typer.Option("--tags", metavar="NAME", help="The column that holds lists of tags.")
    ] = None,
) -> None:
    """Draw what datasets hold as one HTML page: runs, reasons, tags, lengths, values.

    Several inputs share the charts.
    """
    from synth.cli.report import drawing
    from synth.cli.report.frame import MOST_SERIES
    from synth.cli.report.page import html
    from synth.cli.report.sources import opened
    from synth.cli.report.wording import listed
    from synth.cli.summaries import size
    from synth.schemas.errors import UsageError
    from synth.schemas.phrases import plural

    drawing.require()
    if len(sources) > MOST_SERIES:
        raise UsageError(f"a chart holds {MOST_SERIES} inputs, and {len(sources)} are named: make several reports")
    target = _checked(output)
    found = opened(sources)
    parts = _chapters(found, tags)
    page = html(f"Report on {listed([source.name for source in found])}", parts).encode()
    _write(target, page)
    charts = sum(len(part.figures) for part in parts)
    sys.stderr.write(f"{target}: {plural(charts, 'chart')} of {plural(len(found), 'input')}, {size(len(page))}\n")


def _chapters(sources: "Sequence[ReportInput]", tag_column: str | None) -> "list[Chapter]":
    """Those for which the inputs have something to show. Raises `InputError` if no input has the column named."""
    from synth.cli.report.columns import columns
    from synth.cli.report.runs import runs
    from synth.cli.report.sampling import is_curve, sampling
    from synth.cli.report.tags import tags
    from synth.cli.report.vocabulary import vocabulary

    possible = (
        runs(sources),
        sampling(sources),
        *tags(sources, tag_column),
        vocabulary(sources),
        # The columns of a curve have their charts already.
        columns([source for source in sources if not is_curve(source)]),
    )
    return [chapter for chapter in possible if chapter]


def _checked(output: Path | None) -> Path:
    """Where to write. Raises `UsageError` if no page can be written there, or if it would replace an unnamed file."""
    from synth.cli.report.page import GENERATOR
    from synth.schemas.errors import UsageError

    target = output or DEFAULT
    if target.is_dir():
        raise UsageError(f"{target} is a directory: name the file to write, such as --output {target / DEFAULT}")
    if not target.parent.is_dir():
        raise UsageError(f"{target} cannot be written: there is no directory {target.parent}")
    if output is None and target.exists() and GENERATOR.encode() not in target.read_bytes()[:1000]:
        raise UsageError(f"{target} exists and is not a report: name the file to write with --output")
    return target


def _write(target: Path, page: bytes) -> None:
    """A file appears whole or not at all; a pipe or a device is written to directly."""
    from synth.schemas.writing.export import replacing

    if target.exists() and not target.is_file():
        target.write_bytes(page)
        return
    with replacing(target.resolve(), force=True) as file:
        file.write(page)
