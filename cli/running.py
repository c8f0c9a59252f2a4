"""What every command that runs a stage does around it: show progress, run, say what came of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.options import EngineOptions, RunOptions
    from pipelines.runner import Summary
    from pipelines.stage import Stage

__all__ = ["run_stage"]


def run_stage(
    stage: "Stage", inputs: Sequence[str], out: Path, run: "RunOptions", engine: "EngineOptions | None" = None
) -> "Summary":
    """Run `stage` from `inputs` to `out` as the command line asks; its summary, already printed."""
    from cli.progress import observing, print_summary
    from pipelines import runner

    opened = engine.open() if engine else None
    with observing(stage.name) as observe:
        summary = runner.run(stage, inputs, out, run.options(), engine=opened, observe=observe)
    print_summary(summary)
    return summary
