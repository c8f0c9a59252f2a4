"""The bar that a run shows on a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from synth.cli.counted import Rates, breakdown

if TYPE_CHECKING:
    from synth.pipelines.runtime.counts import Counts
    from synth.pipelines.runtime.runner import Observer

__all__ = ["bar"]


class _Bar(Progress):
    """A bar with lines of text under it."""

    below: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (Text(line, "dim") for line in self.below)


@contextmanager
def bar(label: str, details: bool) -> Iterator["Observer"]:
    """A bar with rates on stderr while the block runs; with `details`, reasons and sums under it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,}/{task.total:,}"),
        TextColumn("{task.fields[rates]}"),
        TimeRemainingColumn(compact=True),
    )
    with _Bar(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None, rates="starting", visible=False)
        rates = Rates()

        def observe(counts: "Counts", total: int, prepared: int) -> None:
            if details:
                progress.below = breakdown(asdict(counts))
            done, described = counts.finished or prepared, rates.describe(counts, prepared)
            progress.update(task, completed=done, total=total, rates=described, visible=True, refresh=True)

        yield observe
