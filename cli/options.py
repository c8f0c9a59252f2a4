"""The options that every running command shares, written once.

A command takes `run: RunOptions` (and `engine: EngineOptions` where it generates text); `@shared_options` puts their
fields on the command line in the place of these parameters.
"""

import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from synth.cli.completion import engines, prompts

if TYPE_CHECKING:
    from synth.pipelines.engines import Engine
    from synth.pipelines.runtime.options import Options
    from synth.sandbox.pool import Sandbox

__all__ = [
    "AnswerMarks",
    "BadRows",
    "EngineOptions",
    "FileColumn",
    "Input",
    "Inputs",
    "Output",
    "PromptName",
    "RowOptions",
    "RunOptions",
    "SandboxOptions",
    "parse_answer_marks",
    "path",
    "refuse_given",
    "shared_options",
]

_RUN = "Running"
_ENGINE = "Engine"
_SANDBOX = "Sandbox"


BadRows = Annotated[
    Literal["refuse", "reject"],
    typer.Option(help="Input rows that cannot be used end the run, or go to rejected/.", rich_help_panel=_RUN),
]
FileColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A text column for the name of each row's file.", rich_help_panel=_RUN),
]


@dataclass(frozen=True)
class RunOptions:
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TO=FROM", help="Read column TO from input column FROM. Repeatable.", rich_help_panel=_RUN
        ),
    ] = None
    limit: Annotated[
        int | None, typer.Option(min=1, help="A trial: only the first rows of the input.", rich_help_panel=_RUN)
    ] = None
    bad_rows: BadRows = "refuse"
    file_column: FileColumn = None
    seed: Annotated[int, typer.Option(help="All randomness comes from it and the row's id.", rich_help_panel=_RUN)] = 0
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, replacing what lies at OUTPUT.", rich_help_panel=_RUN)
    ] = False

    def options(self, rows: "RowOptions | None") -> "Options":
        from synth.pipelines.runtime.options import Options

        return Options(
            seed=self.seed,
            limit=self.limit,
            columns=parse_assignments("--column", self.column, "TO=FROM"),
            bad_rows=self.bad_rows,
            file_column=self.file_column,
            fresh=self.fresh,
            command=sys.argv[1:],
            **asdict(rows) if rows else {},
        )


@dataclass(frozen=True)
class RowOptions:
    """Options of steps that take one row at a time to an engine."""

    until: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Stop when N rows have come out.", rich_help_panel=_RUN),
    ] = None
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Stop when N tokens are spent (exit 3); more go on.", rich_help_panel=_RUN
        ),
    ] = None
    max_failures: Annotated[
        int,
        typer.Option(min=0, help="Publish although up to this many rows failed (exit 3 beyond).", rich_help_panel=_RUN),
    ] = 0
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the failed rows of OUTPUT again.", rich_help_panel=_RUN)
    ] = False
    keep_answers: Annotated[
        bool, typer.Option("--keep-answers", help="Keep the model's raw answers in OUTPUT.", rich_help_panel=_RUN)
    ] = False
    reparse: Annotated[
        bool,
        typer.Option("--reparse", help="Make the rows anew from the answers that were kept.", rich_help_panel=_RUN),
    ] = False
    in_flight: Annotated[int, typer.Option(min=1, help="Rows under way at a time.", rich_help_panel=_RUN)] = 2048


@dataclass(frozen=True)
class EngineOptions:
    model: Annotated[
        str | None,
        typer.Option(
            envvar="SYNTH_MODEL", help="A model directory, a hub name, or `tiny` (embedded).", rich_help_panel=_ENGINE
        ),
    ] = None
    engine: Annotated[
        str | None,
        typer.Option(
            help="vllm (in process, the default), openai (a server), or echo.",
            autocompletion=engines,
            rich_help_panel=_ENGINE,
        ),
    ] = None
    base_url: Annotated[
        str | None,
        typer.Option(help="An OpenAI-compatible server, such as http://localhost:8000/v1.", rich_help_panel=_ENGINE),
    ] = None
    engine_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Passed to the engine, e.g. tensor_parallel_size=2.", rich_help_panel=_ENGINE
        ),
    ] = None

    def open(self) -> "Engine":
        from synth.pipelines.engines.registry import EngineSpec

        args = parse_assignments("--engine-arg", self.engine_arg)
        return EngineSpec(self.engine, self.model, self.base_url, args).open()


@dataclass(frozen=True)
class SandboxOptions:
    jail: Annotated[
        str,
        typer.Option(
            help="docker, bwrap or landlock (inside a container); auto is docker where it answers, else bwrap.",
            rich_help_panel=_SANDBOX,
        ),
    ] = "auto"
    jails: Annotated[
        int | None,
        typer.Option(min=1, help="Jails at a time; one for each core if not given.", rich_help_panel=_SANDBOX),
    ] = None
    jail_package: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An installed package that programs may import, such as numpy. Repeatable.",
            rich_help_panel=_SANDBOX,
        ),
    ] = None

    def open(self) -> "Sandbox":
        from synth.sandbox.pool import SandboxSpec

        return SandboxSpec(self.jail, self.jails, tuple(sorted(set(self.jail_package or [])))).open()


def parse_assignments(flag: str, values: list[str] | None, form: str = "NAME=VALUE") -> dict[str, str]:
    from synth.schemas.errors import UsageError

    parsed: dict[str, str] = {}
    for value in values or []:
        name, equals, right = value.partition("=")
        if not (name and equals):
            raise UsageError(f"{flag} {value}: expected {form}")
        if name in parsed:
            raise UsageError(f"{flag} {name}: given twice")
        parsed[name] = right
    return parsed


def parse_answer_marks(texts: list[str] | None) -> tuple[str, ...]:
    from synth.pipelines.runtime.answers.answer import GSM8K_MARKS

    return tuple(texts) if texts else GSM8K_MARKS


def refuse_given(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Raises `UsageError` where one of the options stands on the command line, in which it has no part."""
    from synth.schemas.errors import UsageError

    for name in names:
        source = context.get_parameter_source(name)
        if source and source.name == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')} has no part {why}")


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Spread each dataclass parameter of a command into one option for each of its fields."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        group = groups[parameter.name]
        group_hints = get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=group_hints[field.name]
            )
            for field in fields(group)
        ]

    @wraps(command)
    def spread(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread


def path(name: str) -> Path:
    """The path of this name. Raises `UsageError` for an empty one, which would be the working directory."""
    from synth.schemas.errors import UsageError

    if not name.strip():
        raise UsageError("the name of a file or directory is empty: is a shell variable not set?")
    return Path(name)


Input = Annotated[
    str, typer.Argument(metavar="INPUT", help="Dataset directory, file, glob, or hf:NAME[:CONFIG][:SPLIT].")
]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Dataset directories, files, globs, or hf:NAME[:CONFIG][:SPLIT]."),
]
Output = Annotated[Path, typer.Argument(metavar="OUTPUT", help="Dataset directory to make.", parser=path)]
AnswerMarks = Annotated[
    list[str] | None,
    typer.Option(
        "--answer-mark",
        metavar="TEXT",
        help="What stands before an answer, such as 'A:' or 'The answer is'. Repeatable. [default: '#### ']",
    ),
]
PromptName = Annotated[
    str,
    typer.Option(
        metavar="FILE", help="A prompt file, or the name of one that the recipe ships.", autocompletion=prompts
    ),
]
