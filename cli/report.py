"""`synth report`: what datasets hold and how their runs went, as a page of charts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from synth.cli.completion import datasets
from synth.cli.options import path

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

    Several inputs are drawn side by side, or over each other, in the same charts.
    """
    from synth.cli.reporting import drawing
    from synth.cli.reporting.contents import chapters
    from synth.cli.reporting.frame import MOST_SERIES
    from synth.cli.reporting.page import html
    from synth.cli.reporting.sources import opened
    from synth.cli.reporting.wording import listed
    from synth.cli.summaries import size
    from synth.schemas.errors import UsageError
    from synth.schemas.phrases import plural

    drawing.require()
    if len(sources) > MOST_SERIES:
        raise UsageError(f"a chart holds {MOST_SERIES} inputs, and {len(sources)} are named: make several reports")
    target = _checked(output)
    found = opened(sources)
    parts = chapters(found, tags)
    page = html(f"Report on {listed([source.name for source in found])}", parts).encode()
    _write(target, page)
    charts = sum(len(part.figures) for part in parts)
    sys.stderr.write(f"{target}: {plural(charts, 'chart')} of {plural(len(found), 'input')}, {size(len(page))}\n")


def _checked(output: Path | None) -> Path:
    """Where to write. Raises `UsageError` where no page can be, and where it would replace what nobody named."""
    from synth.cli.reporting.page import GENERATOR
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
    """A file appears whole or not at all; what is no file, such as a pipe, is written to."""
    from synth.schemas.writing.export import replacing

    if target.exists() and not target.is_file():
        target.write_bytes(page)
        return
    with replacing(target.resolve(), force=True) as file:
        file.write(page)
