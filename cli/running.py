"""Run a stage with progress on stderr and a summary at the end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.pipelines.runtime.runner import Run
    from synth.schemas.writing.publication import OutputStatus

__all__ = ["asking_why", "is_asked_why", "run_stage"]

# Set while `synth why` asks a command for the status of its output.
_why: ContextVar["list[OutputStatus] | None"] = ContextVar("why", default=None)


@contextmanager
def asking_why() -> Iterator["list[OutputStatus]"]:
    """Within the block, a command appends the status of its output to the list instead of running its stage."""
    found: list[OutputStatus] = []
    token = _why.set(found)
    try:
        yield found
    finally:
        _why.reset(token)


def is_asked_why(find: Callable[[], "OutputStatus"]) -> bool:
    """Whether `synth why` runs the command; then record the status of its output."""
    asked = _why.get()
    if asked is not None:
        asked.append(find())
    return asked is not None


def run_stage(run: "Run") -> None:
    """Execute `run`, and print the outcome."""
    from synth.cli.progress import observing, print_summary
    from synth.schemas.errors import EngineFailed, Interrupted, Partial
    from synth.schemas.layout import Layout
    from synth.schemas.stores.places import is_output, origin

    if is_asked_why(run.status):
        return
    stage = run.stage
    if is_output(run.out):
        workplace = Layout(run.out).partial.path
        print(f"{origin(run.out)}: what is not finished is kept in {workplace}", file=sys.stderr)
    try:
        with observing(stage.name) as observe:
            summary = run.execute(observe)
    except (EngineFailed, Interrupted, Partial) as error:
        if run.options.fresh:
            raise type(error)(f"{error} (without --fresh, which would start over)") from error
        raise
    print_summary(summary, stage.advice)
    for remark in summary.remarks:
        print(f"  {remark}", file=sys.stderr)
    if stage.prints_rows and not summary.slice:
        _print_rows(run.out)


def _print_rows(folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from synth.schemas.dataset import Dataset

    dataset = Dataset.open(folder)
    names = [name for name in dataset.table.column_names if name != "id"]
    table = Table(*(name.replace("_", " ") for name in names))
    for column in table.columns:
        column.justify = "right"
    for row in dataset.rows(names):
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else f"{value:,}" for value in row.values()))
    Console().print(table)
