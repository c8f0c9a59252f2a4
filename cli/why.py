"""`synth why`: what repeating the command that wrote an output would do."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.runs import ObservedRun
from synth.pipelines.runtime.declared import output
from synth.schemas.phrases import plural
from synth.schemas.stores.places import origin

if TYPE_CHECKING:
    from synth.schemas.writing.publication import OutputStatus

__all__ = ["why"]

# For use in makefiles: the exit code for each outcome.
EXIT_CODES = {"nothing": 0, "start": 3, "resume": 3, "update": 3, "start over": 3, "refuse": 4}


def why(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="OUT... [OPTION...]", help="Outputs of synth, then options to add to their commands."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each directory.")] = False,
) -> None:
    """Show what would run, and why, if the command that wrote OUT were repeated.

    The command's input, prompts, model and options are compared with those recorded; options given after OUT are
    added to the command, as in `synth why samples/ -n 50`. Paths in it are relative to the directory in which it was
    run. Nothing is run or changed. The exit code is 0 if nothing would run, 3 if something would, 4 if the command
    would be refused because settings differ.
    """
    outs = [output(word) for word in takewhile(lambda word: not word.startswith("-"), words)]
    options = words[len(outs) :]
    if "--json" in options:
        options.remove("--json")
        as_json = True
    codes = []
    for out in outs:
        record = _record(out)
        status = _ask(context, out, record, options)
        if as_json:
            facts = {"out": origin(out), "would": status.would, **_document(status, record)}
            print(json.dumps(facts, ensure_ascii=False))
        else:
            _explain(out, status, record)
        codes.append(EXIT_CODES[status.would])
    raise typer.Exit(max(codes))


def _record(out: Path) -> dict[str, Any]:
    from synth.schemas.errors import InputError
    from synth.schemas.writing.store_shelf import shelf_of

    shelf = shelf_of(out)
    shelf.look()
    complete: dict[str, Any] = json.loads(shelf.out.record.read_text()) if shelf.out.record.is_file() else {}
    record = complete or shelf.begun()
    if not record:
        raise InputError(
            f"{origin(out)} is not an output of synth: there is no {shelf.out.record.name} in it or in "
            f"{origin(shelf.partial.path)}"
        )
    if not record.get("command"):
        where = shelf.out if complete else shelf.partial
        raise InputError(f"{origin(where.path)} does not record the command that wrote it")
    return record


def _ask(context: typer.Context, out: Path, record: Mapping[str, Any], options: Sequence[str]) -> "OutputStatus":
    """The status that the recorded command, with these options added, finds for its output."""
    from synth.cli.running import asking_why
    from synth.schemas.errors import InputError
    from synth.schemas.layout import Layout
    from synth.schemas.specs import command_folder

    # Of repeated options, the last one counts.
    command = [*record["command"], *options]
    sys.argv = ["synth", *command]
    places = (out.resolve(), Layout(out.resolve()).partial.path)
    folder = command_folder(record, out)
    if not folder.is_dir():
        raise InputError(f"{origin(out)} was moved: {folder}, where its command was run, does not exist")
    with asking_why() as found, chdir(folder):
        context.find_root().command.main(command, standalone_mode=False)
        (status,) = found
        where = status.where.resolve()
    if where not in places:
        remedy = "move it back" if "folder" in record else "run this in the directory of that command"
        command_line = shlex.join(["synth", *record["command"]])
        raise InputError(f"{origin(out)} was written as {origin(status.where)} by `{command_line}`: {remedy}")
    return replace(status, where=where)


def _document(status: "OutputStatus", record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "changed": [{"field": field, "was": old, "is": new} for field, old, new in status.changed],
        "software": [{"package": name, "was": old, "is": new} for name, old, new in _software(record)],
    }


def _software(record: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    from synth.pipelines.runtime.software import software
    from synth.schemas.writing.changes import differences

    # Only complete outputs record it.
    recorded = record.get("software", {})
    return differences(recorded, software(recorded)) if recorded else []


def _explain(out: Path, status: "OutputStatus", record: Mapping[str, Any]) -> None:
    from synth.cli.diff import settings_part
    from synth.cli.rendering import DataConsole

    console = DataConsole()
    console.print(f"{origin(out)}: {_sentence(status)}", soft_wrap=True)
    for part in settings_part(status.changed):
        console.print(part)
    if software := _software(record):
        console.print("other versions were used, which alone is no reason to run again:", style="dim")
        for part in settings_part(software):
            console.print(part)


def _sentence(status: "OutputStatus") -> str:
    match status.would:
        case "nothing":
            return "complete, nothing would run"
        case "start":
            return "does not exist, everything would run"
        case "resume":
            return f"begun, {_progress(status.where)}the run would resume"
        case "update":
            return f"{status.state}; it would be remade, sending only requests without a recorded answer"
        case "start over":
            return f"{status.state}; it would be remade, sending all requests again"
        case "refuse":
            return (
                f"{status.state}, but with other settings; the command would be refused (exit 4; --stale update keeps "
                "the answers that still apply, --fresh starts over)"
            )


def _progress(partial: Path) -> str:
    run = ObservedRun.of(partial)
    progress = run.progress() if run else None
    if not progress:
        return ""
    finished = sum(progress["counts"][name] for name in ("produced", "rejected"))
    return f"{finished:,} of {plural(progress['rows'], 'row')} finished, "
