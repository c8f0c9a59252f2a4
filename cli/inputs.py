"""Inputs of the commands that look at data: besides whatever a stage reads, a run that is not finished."""

import atexit
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from synth.cli.runs import ObservedRun

if TYPE_CHECKING:
    from synth.schemas.reading.inputs import Input

__all__ = ["input_to_look_at"]


def input_to_look_at(spec: str) -> "Input":
    """As `locate`; for a run that is under way or was stopped, the rows that it has finished, said on stderr.

    They are a copy, which lives as long as the process.
    """
    from synth.schemas.reading.inputs import locate

    run = ObservedRun.of(Path(spec))
    if run and run.partial.path.is_dir() and (run.out != Path(spec) or not run.layout.state.is_file()):
        return _finished_so_far(run, spec) or locate(spec)
    return locate(spec)


def _finished_so_far(run: ObservedRun, spec: str) -> "Input | None":
    from synth.pipelines.runtime.unfinished import write_snapshot
    from synth.schemas.reading.inputs import locate

    scratch = Path(mkdtemp(prefix="synth-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    facts = run.progress()
    state = "is under way" if run.state() == "running" else "was stopped"
    try:
        counts = write_snapshot(run.partial, scratch / run.partial.path.name)
    except FileNotFoundError:
        return None
    whole = f" of {facts['rows']:,}" if facts else ""
    remedy = "" if state == "is under way" else "; repeat its command to finish it"
    print(f"{run.out} {state}: {counts.finished:,}{whole} input rows are finished{remedy}", file=sys.stderr)
    return replace(locate(str(scratch / run.partial.path.name)), spec=spec, name=run.out.name)
