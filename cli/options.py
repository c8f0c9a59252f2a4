"""The options that every running command shares, written once.

A command takes `run: RunOptions` (and `engine: EngineOptions` where it generates text); `@shared_options` puts their
fields on the command line in the place of these parameters.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from pipelines.engines import Engine
    from pipelines.runner import Options

__all__ = ["EngineOptions", "Input", "Output", "PromptName", "RunOptions", "shared_options"]

_RUN = "Running"
_ENGINE = "Engine"


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
    seed: Annotated[int, typer.Option(help="All randomness comes from it and the row's id.", rich_help_panel=_RUN)] = 0
    max_failures: Annotated[
        int,
        typer.Option(min=0, help="Publish although up to this many rows failed (exit 3 beyond).", rich_help_panel=_RUN),
    ] = 0
    in_flight: Annotated[int, typer.Option(min=1, help="Rows under way at a time.", rich_help_panel=_RUN)] = 2048
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, replacing what lies at OUTPUT.", rich_help_panel=_RUN)
    ] = False

    def options(self) -> "Options":
        from pipelines.runner import Options

        return Options(
            seed=self.seed,
            limit=self.limit,
            columns=parse_assignments("--column", self.column, "TO=FROM"),
            fresh=self.fresh,
            in_flight=self.in_flight,
            max_failures=self.max_failures,
        )


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
        typer.Option(help="vllm (in process, the default), openai (a server), or echo.", rich_help_panel=_ENGINE),
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
        from pipelines.engines.opening import open_engine

        return open_engine(self.engine, self.model, self.base_url, parse_assignments("--engine-arg", self.engine_arg))


def parse_assignments(flag: str, values: list[str] | None, form: str = "NAME=VALUE") -> dict[str, str]:
    from schemas.errors import UsageError

    parsed: dict[str, str] = {}
    for value in values or []:
        name, equals, right = value.partition("=")
        if not (name and equals):
            raise UsageError(f"{flag} {value}: expected {form}")
        if name in parsed:
            raise UsageError(f"{flag} {name}: given twice")
        parsed[name] = right
    return parsed


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


Input = Annotated[
    str, typer.Argument(metavar="INPUT", help="Dataset directory, file, glob, or hf:NAME[:CONFIG][:SPLIT].")
]
Output = Annotated[Path, typer.Argument(metavar="OUTPUT", help="Dataset directory to make.")]
PromptName = Annotated[
    str, typer.Option(metavar="FILE", help="A prompt file, or the name of one that the recipe ships.")
]
