"""Which chapters a report has: those for which its inputs have something to show."""

from collections.abc import Sequence

from synth.cli.report.columns import columns
from synth.cli.report.page import Chapter
from synth.cli.report.runs import runs
from synth.cli.report.sampling import is_curve, sampling
from synth.cli.report.sources import ReportInput
from synth.cli.report.tags import tags
from synth.cli.report.vocabulary import vocabulary

__all__ = ["chapters"]


def chapters(sources: Sequence[ReportInput], tag_column: str | None) -> list[Chapter]:
    """Raises `InputError` where no input has the column of tags that is named."""
    possible = (
        runs(sources),
        sampling(sources),
        *tags(sources, tag_column),
        vocabulary(sources),
        # The columns of a curve have their charts already.
        columns([source for source in sources if not is_curve(source)]),
    )
    return [chapter for chapter in possible if chapter]
