"""The `synth` command: loads each command when it is used, and reports errors as one sentence and an exit code."""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from synth.cli import standins
from synth.pipelines import own
from synth.pipelines.recipes import DATA, RECIPES, STAGES

__all__ = ["app", "main"]

# Commands that run no stage: module and attribute in this package, and a summary.
OTHERS = {
    "query-of-cc evaluate": ("searches:evaluate", "Measure retrieval quality against relevance judgements."),
    "instag measure": ("measures:measure", "Count tags per query, common tags and pairs of tags."),
    "export": ("export:export", "Write a dataset as a file."),
    "card": ("sharing.card:card", "Write the card of a dataset for the Hugging Face hub."),
    "push": ("sharing.push:push", "Push a dataset to the Hugging Face hub."),
    "show": ("show:show", "Show rows of a dataset or of any input file."),
    "stats": ("stats:stats", "Summarise the columns of a dataset."),
    "diff": ("diff:diff", "Compare two datasets."),
    "report": ("report:report", "Draw charts of datasets as one HTML page."),
    "trace": ("trace:trace", "Show the ancestors of a row, with prompts and answers."),
    "why": ("why:why", "Show what repeating a command would run, and why."),
    "watch": ("watch:watch", "Watch the progress of a run."),
    "schema": ("schema:schema", "Show record types, the columns of an input, or the input and output of a stage."),
    "run-code": ("run_code:run_code", "Call a function of a Python file in the sandbox."),
    "doctor": ("doctor:doctor", "Check what this machine can run."),
}
RUN = "Run a stage of your own: a class in a file."
PANELS: dict[str, Collection[str]] = {
    "Recipes": RECIPES.keys(),
    "Data": (*DATA, "export", "card", "push"),
    "Custom": ("run",),
    "Inspecting": ("show", "stats", "diff", "report", "trace", "why", "watch", "schema"),
    "Machine": ("run-code", "doctor"),
}


class PlainCommand(TyperCommand):
    """A command with plain text help in panels: importing rich would take most of the time."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{**settings, "rich_markup_mode": None})

    def invoke(self, ctx: Any) -> Any:
        standins.leave()
        gc.enable()
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for panel, lines in panels.items():
            with formatter.section(panel):
                formatter.write_dl(lines)


class Commands(TyperGroup):
    """A group that lists its commands without loading them, and loads a command when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "rich_markup_mode": None})
        self.prefix = "" if self.name in (None, "synth") else f"{self.name} "

    def invoke(self, ctx: Any) -> Any:
        """Reraise a closed pipe without its errno, so that Typer leaves it to `main` instead of exiting with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise BrokenPipeError from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A stage may have others below it: `mix skill-it` is one, and any other `mix` is the stage itself."""
        if self.prefix + args[0] in STAGES and self.prefix + (name := " ".join(args[:2])) in STAGES:
            return name, self.get_command(ctx, name), args[2:]
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        if not self.prefix:
            return [name for names in _panels().values() for name in names]
        names = [*STAGES, *OTHERS]
        return [name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        name = self.prefix + cmd_name
        if name not in self.commands:
            if name in STAGES or name in OTHERS:
                self.commands[name] = _loaded(name)
            elif name in RECIPES:
                self.commands[name] = Commands(name=name, help=RECIPES[name], no_args_is_help=True)
            elif name == "run":
                self.commands[name] = Commands(
                    name=name, help=RUN, no_args_is_help=True, subcommand_metavar="FILE.py:CLASS INPUT OUTPUT [OPTIONS]"
                )
            elif self.prefix == "run ":
                self.commands[name] = _of_stage(own.stage_at(cmd_name), cmd_name)
            elif name in own.installed_stages():
                self.commands[name] = _of_stage(own.stage_of_package(name), name)
        return self.commands.get(name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels = {"Commands": self.list_commands(ctx)} if self.prefix else _panels()
        for panel, names in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(name, self._summary(self.prefix + name)) for name in names])

    def _summary(self, name: str) -> str:
        if name in OTHERS:
            return OTHERS[name][1]
        if purpose := {**RECIPES, **DATA, "run": RUN}.get(name):
            return purpose
        if name in own.installed_stages():
            return f"A stage of {own.installed_stages()[name].value}."
        from synth.pipelines.recipes import stage_named
        from synth.pipelines.runtime.facts import summary

        return summary(stage_named(name))


def _panels() -> dict[str, Collection[str]]:
    return {**PANELS, "Custom": (*PANELS["Custom"], *own.installed_stages())}


def _loaded(name: str) -> Any:
    if name in STAGES:
        from synth.pipelines.recipes import stage_named

        return _of_stage(stage_named(name), name.rpartition(" ")[2])
    module, _, attribute = OTHERS[name][0].partition(":")
    function = getattr(import_module(f"synth.cli.{module}"), attribute)
    # Options after the outputs of `why` belong to the command that wrote them.
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False} if name == "why" else {}
    return _of_function(function, name.rpartition(" ")[2], settings)


def _of_stage(stage: Any, name: str) -> Any:
    from synth.cli.commands import command_of

    return _of_function(command_of(stage), name, {})


def _of_function(function: Any, name: str, settings: dict[str, Any]) -> Any:
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name=name, cls=PlainCommand, context_settings=settings)(function)
    return typer.main.get_command(single)


app = typer.Typer(
    name="synth",
    cls=Commands,
    help="Turn seed data into training data for language models, with published recipes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from synth.pipelines.runtime.software import synth_version

        print(f"synth {synth_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Exit codes: see `synth.schemas.errors`; Typer adds 2 for bad options and 130 for Ctrl-C."""
    from synth.schemas.errors import SynthError

    words, ours = sys.argv[1:], {name.split()[0] for name in (*STAGES, *OTHERS)}
    # Stages of others may compute anything when they are imported, so they get the real modules.
    is_ours = not words or words[0].startswith("-") or words[0] in ours
    if is_ours and standins.is_description(words):
        standins.stand_in()
    # Until a command runs there is no garbage: what is imported stays. At the exit nobody needs the memory.
    gc.disable()
    atexit.register(gc.freeze)
    try:
        app(standalone_mode=True)
    except SynthError as error:
        _exit(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader closed the pipe, as `| head` does: redirect stdout so that the flush at exit does not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        _exit(f"{error.filename or 'output'}: {error.strerror}; finished work is kept", SynthError.exit_code)
    finally:
        gc.enable()


def _exit(sentence: str, code: int) -> None:
    print(f"synth: {sentence}", file=sys.stderr)
    atexit.register(_end_under_models, code)
    sys.exit(code)


def _end_under_models(code: int) -> None:
    """At the exit of the interpreter, end the process if a model is still being loaded.

    Its thread cannot be interrupted, and the process would abort if the interpreter were torn down under native code.
    """
    from synth.pipelines.engines.threads import ModelThread

    if not ModelThread.are_running():
        return
    import multiprocessing

    # First what libraries do at the exit, such as ending their processes; the model may have started more meanwhile.
    atexit.unregister(_end_under_models)
    atexit._run_exitfuncs()
    for process in multiprocessing.active_children():
        process.terminate()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
