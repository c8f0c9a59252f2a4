"""`synth why`: what the command that made an output would do today, without running it."""

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.pipelines.runtime.declared import path
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.writing.publication import OutputStatus

__all__ = ["why"]

# What `make` learns from the exit code, by what would happen.
EXIT_CODES = {"nothing": 0, "start": 3, "resume": 3, "refuse": 4}


def why(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="OUT... [OPTION...]", help="Directories that synth made, then options to try on them."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each directory.")] = False,
) -> None:
    """Say what would run, and why, if the command that made OUT were repeated.

    The command's input, prompts, model and options are compared with those recorded; options given after OUT are
    added to the command, as in `synth why samples/ -n 50`. Nothing is run or changed. The exit code is 0 if nothing
    would run, 3 if something would, 4 if the command would be refused because settings differ.
    """
    outs = [path(word) for word in takewhile(lambda word: not word.startswith("-"), words)]
    options = words[len(outs) :]
    if "--json" in options:
        options.remove("--json")
        as_json = True
    codes = []
    for out in outs:
        record = _record(out)
        status = _ask(context, out, record, options)
        would = _would(status)
        if as_json:
            print(json.dumps({"out": str(out), "would": would, **_document(status, record)}, ensure_ascii=False))
        else:
            _explain(out, status, would, record)
        codes.append(EXIT_CODES[would])
    raise typer.Exit(max(codes))


def _record(out: Path) -> dict[str, Any]:
    from synth.schemas.errors import InputError
    from synth.schemas.layout import Layout

    layout = Layout(out)
    for place in (layout, layout.partial):
        if place.record.is_file():
            record: dict[str, Any] = json.loads(place.record.read_text())
            if not record.get("command"):
                raise InputError(f"{place.path} does not record the command that made it, so it cannot be asked")
            return record
    raise InputError(f"{out} is nothing that synth made: it has no {layout.record.name}, nor has {layout.partial.path}")


def _ask(context: typer.Context, out: Path, record: Mapping[str, Any], options: Sequence[str]) -> "OutputStatus":
    """What the recorded command finds today at the place where it was to write."""
    from synth.cli.running import asking_why
    from synth.schemas.errors import InputError
    from synth.schemas.layout import Layout

    # The last of two equal options counts.
    command = [*record["command"], *options]
    sys.argv = ["synth", *command]
    with asking_why() as found:
        context.find_root().command.main(command, standalone_mode=False)
    (status,) = found
    if status.where.absolute() not in (out.absolute(), Layout(out.absolute()).partial.path):
        raise InputError(
            f"{out} was made as {status.where} by `synth {' '.join(record['command'])}`: "
            "ask where that command was given"
        )
    return status


def _would(status: "OutputStatus") -> str:
    if status.changed:
        return "refuse"
    return {"absent": "start", "begun": "resume", "complete": "nothing"}[status.state]


def _document(status: "OutputStatus", record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "changed": [{"field": field, "was": old, "is": new} for field, old, new in status.changed],
        "software": [{"package": name, "was": old, "is": new} for name, old, new in _software(record)],
    }


def _software(record: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    from synth.pipelines.runtime.software import software
    from synth.schemas.writing.publication import differences

    # What was only begun does not say yet.
    recorded = record.get("software", {})
    return differences(recorded, software(recorded)) if recorded else []


def _explain(out: Path, status: "OutputStatus", would: str, record: Mapping[str, Any]) -> None:
    from synth.cli.diff import settings_part
    from synth.cli.rendering import DataConsole

    console = DataConsole()
    console.print(f"{out}: {_sentence(status, would)}", soft_wrap=True)
    for part in settings_part(status.changed):
        console.print(part)
    if software := _software(record):
        console.print("made with other versions, which is no reason to run again:", style="dim")
        for part in settings_part(software):
            console.print(part)


def _sentence(status: "OutputStatus", would: str) -> str:
    match would:
        case "nothing":
            return "complete, nothing would run again"
        case "start":
            return "nothing is there, everything would run"
        case "resume":
            return f"begun, {_progress(status.where)}the run would resume"
        case _:
            state = "complete" if status.state == "complete" else "begun"
            return f"{state}, but made with other settings; the command would be refused (exit 4, --fresh starts over)"


def _progress(partial: Path) -> str:
    from synth.schemas.layout import PartialLayout

    path = PartialLayout(partial).progress
    if not path.is_file():
        return ""
    progress = json.loads(path.read_text())
    finished = sum(progress["counts"][name] for name in ("produced", "rejected"))
    return f"{finished:,} of {plural(progress['rows'], 'row')} finished, "
