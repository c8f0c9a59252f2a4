"""What every command that runs a stage does around it: show progress, run, say what came of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.cli.options import EngineOptions, RowOptions, RunOptions, SandboxOptions
    from synth.pipelines.runtime.runner import Summary
    from synth.pipelines.runtime.stage import Stage
    from synth.schemas.writing.publication import OutputStatus

__all__ = ["asking_why", "is_asked_why", "run_stage"]

# Set while a command line is read only to learn what it would find.
_why: ContextVar["list[OutputStatus] | None"] = ContextVar("why", default=None)


@contextmanager
def asking_why() -> Iterator["list[OutputStatus]"]:
    """Within the block a command does not run its stage; what it would find is put into the list."""
    found: list[OutputStatus] = []
    token = _why.set(found)
    try:
        yield found
    finally:
        _why.reset(token)


def is_asked_why(find: Callable[[], "OutputStatus"]) -> bool:
    """Whether the command is only to say what it finds, which it then has said."""
    asked = _why.get()
    if asked is not None:
        asked.append(find())
    return asked is not None


def run_stage(
    stage: "Stage",
    inputs: Sequence[str],
    out: Path,
    run: "RunOptions",
    rows: "RowOptions | None" = None,
    engine: "EngineOptions | None" = None,
    sandbox: "SandboxOptions | None" = None,
) -> "Summary | None":
    """Run `stage` from `inputs` to `out` as the command line asks; its summary, already printed.

    None where the command is only to say what it finds.
    """
    from synth.cli.progress import observing, print_summary
    from synth.pipelines.runtime import runner
    from synth.schemas.errors import EngineFailed, Interrupted, Partial

    llm = engine.open() if engine else None
    programs = sandbox.open() if sandbox else None
    if is_asked_why(lambda: runner.output_status(stage, inputs, out, run.options(rows), engine=llm, sandbox=programs)):
        return None
    try:
        with observing(stage.name) as observe:
            summary = runner.run(stage, inputs, out, run.options(rows), engine=llm, sandbox=programs, observe=observe)
    except (EngineFailed, Interrupted, Partial) as error:
        if run.fresh:
            raise type(error)(f"{error} (without --fresh, which would start over again)") from error
        raise
    print_summary(summary, stage.advice)
    return summary
