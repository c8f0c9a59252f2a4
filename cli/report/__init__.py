"""`synth report`: an HTML page of chapters with Vega-Lite charts.

This module is the command; it imports the rest when it runs.
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
            metavar="INPUT...",
            help="Dataset directories, files, globs, URLs of object stores, or hf:NAME.",
            autocompletion=datasets,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The page to write.  [default: report.html]", parser=path),
    ] = None,
    tags: Annotated[str | None, typer.Option("--tags", metavar="NAME", help="The column with lists of tags.")] = None,
) -> None:
    """Write an HTML page with charts of datasets: runs, reasons, tags, lengths, values.

    Several inputs share the charts.
    """
    from synth.cli.report import drawing
    from synth.cli.report.frame import MOST_SERIES
    from synth.cli.report.page import html
    from synth.cli.report.sources import opened
    from synth.cli.summaries import size
    from synth.schemas.errors import UsageError
    from synth.schemas.phrases import listed, plural

    drawing.require()
    if len(sources) > MOST_SERIES:
        raise UsageError(f"a chart shows up to {MOST_SERIES} inputs, not {len(sources)}: write several reports")
    target = _checked(output)
    inputs = opened(sources)
    chapters = _chapters(inputs, tags)
    page = html(f"Report on {listed([source.name for source in inputs])}", chapters).encode()
    _write(target, page)
    charts = sum(len(chapter.figures) for chapter in chapters)
    sys.stderr.write(f"{target}: {plural(charts, 'chart')} of {plural(len(inputs), 'input')}, {size(len(page))}\n")


def _chapters(sources: "Sequence[ReportInput]", tag_column: str | None) -> "list[Chapter]":
    """The chapters that apply to the inputs. Raises `InputError` if no input has the column `tag_column`."""
    from synth.cli.report.clusters import clusters
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
        clusters(sources),
        # Curves have their own charts.
        columns([source for source in sources if not is_curve(source)]),
    )
    return [chapter for chapter in possible if chapter]


def _checked(output: Path | None) -> Path:
    """The file to write. Raises `UsageError` if it cannot be written or would replace a file without --output."""
    from synth.cli.report.page import GENERATOR
    from synth.schemas.errors import UsageError

    target = output or DEFAULT
    if target.is_dir():
        raise UsageError(f"{target} is a directory: name the file to write, such as --output {target / DEFAULT}")
    if not target.parent.is_dir():
        raise UsageError(f"{target} cannot be written: no directory {target.parent}")
    if output is None and target.exists() and GENERATOR.encode() not in target.read_bytes()[:1000]:
        raise UsageError(f"{target} exists and is not a report: name the file to write with --output")
    return target


def _write(target: Path, page: bytes) -> None:
    """Replace a file atomically; write directly to a pipe or a device."""
    from synth.schemas.writing.export import replacing

    if target.exists() and not target.is_file():
        target.write_bytes(page)
        return
    with replacing(target.resolve(), force=True) as file:
        file.write(page)
