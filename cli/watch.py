"""`synth watch`: observe a run in progress from another terminal. Writes nothing."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from synth.cli.completion import outputs
from synth.cli.runs import Facts, ObservedRun
from synth.pipelines.runtime.declared import output as output_path

__all__ = ["watch"]


def watch(
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="Output of the run.", autocompletion=outputs, parser=output_path),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each change.")] = False,
) -> None:
    """Watch a run that another terminal started.

    The exit code is 0 if the run completes, 3 if it stops first.
    """
    run = ObservedRun.find(output)
    if as_json:
        _print_changes(run)
    else:
        _draw(run)
    if run.state() == "stopped":
        from synth.schemas.errors import Partial

        raise Partial(run.how_to_resume())
    print("\n".join(run.completion()), file=sys.stderr)


def _draw(run: ObservedRun) -> None:
    from synth.cli.progress import observing
    from synth.pipelines.runtime.observation import Observation

    label = (run.progress() or {}).get("stage") or run.out.name
    with observing(label, details=True) as observe:
        for facts in run.observations():
            observe(Observation.of(facts))


def _print_changes(run: ObservedRun) -> None:
    """A line whenever the counts or the process have changed, and one at the end, as in an events file."""
    from synth.pipelines.runtime.events import event_line
    from synth.pipelines.runtime.observation import Observation

    before: tuple[Observation, int | None] | None = None
    for facts in run.observations():
        seen = Observation.of(facts), facts.get("pid")
        if seen != before:
            _print(event_line("progress", "running", **facts))
        before = seen
    state = run.state()
    last: Facts | None = run.progress() if state == "stopped" else run.record()
    _print(event_line("end", state, **({"counts": last["counts"]} if last and "counts" in last else {})))


def _print(line: str) -> None:
    print(line, end="", flush=True)
