"""The `synth` command: it gathers the command groups, and turns errors into one sentence and an exit code."""

import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from synth.cli import (
    augment,
    case2code,
    convert,
    dedup,
    diff,
    doctor,
    dstc,
    instag,
    query_of_cc,
    reject,
    run_code,
    schema,
    self_lengthen,
    show,
    stats,
    trace,
    watch,
    why,
)
from synth.cli.report.command import report

__all__ = ["app", "main"]


class Commands(TyperGroup):
    """The list of commands in plain text: laying it out with rich would take longer than all else that it takes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "rich_markup_mode": None})

    def invoke(self, ctx: Any) -> Any:
        """Leave a closed pipe to `main`, by raising it without its number: Typer would exit with 1 for that."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise BrokenPipeError from error


app = typer.Typer(
    name="synth",
    cls=Commands,
    help="Turn seed data into training data for language models, with published recipes.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(augment.app, name="augment")
app.add_typer(reject.app, name="reject")
app.add_typer(case2code.app, name="case2code")
app.add_typer(query_of_cc.app, name="query-of-cc")
app.add_typer(instag.app, name="instag")
app.add_typer(self_lengthen.app, name="self-lengthen")
app.command(name="dstc")(dstc.dstc)
app.command(name="dedup")(dedup.dedup)
app.command(name="decontaminate")(dedup.decontaminate)
app.command(name="run-code")(run_code.run_code)
app.command(name="show")(show.show)
app.command(name="stats")(stats.stats)
app.command(name="diff")(diff.diff)
app.command(name="report")(report)
app.command(name="schema")(schema.schema)
app.command(name="import")(convert.import_)
app.command(name="export")(convert.export)
app.command(name="why", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(why.why)
app.command(name="watch")(watch.watch)
app.command(name="trace")(trace.trace)
app.command(name="doctor")(doctor.doctor)


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

    try:
        app(standalone_mode=True)
    except SynthError as error:
        _exit_saying(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader has gone, as after `| head`: so that Python does not complain at exit, leave it nothing to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        _exit_saying(f"{error.filename or 'output'}: {error.strerror}; what was finished is kept", SynthError.exit_code)


def _exit_saying(sentence: str, code: int) -> None:
    print(f"synth: {sentence}", file=sys.stderr)
    sys.exit(code)
