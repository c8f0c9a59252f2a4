"""Build commands from declarations: those of a stage, or of a function with dataclass parameters as options."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from synth.pipelines.recipes import STAGES, stage_named
from synth.pipelines.runtime.declared import ByOption, DeclaredOption, build, declared, output, own, path
from synth.pipelines.runtime.facts import (
    INPUT_SPEC,
    columns_in_words,
    help_text,
    records,
    run_options,
    stage_options,
    summary,
    takes_many_inputs,
    usage,
    writes_to_stores,
)

if TYPE_CHECKING:
    from synth.pipelines.runtime.stage import Stage

__all__ = ["Input", "Inputs", "Output", "command_of", "with_options"]

Input = Annotated[str, typer.Argument(metavar="INPUT", help=INPUT_SPEC)]
Inputs = Annotated[list[str], typer.Argument(metavar="INPUT...", help=INPUT_SPEC)]
Output = Annotated[Path, typer.Argument(metavar="OUTPUT", help="Dataset directory to write.", parser=path)]


def command_of(stage: "type[Stage]") -> Callable[..., None]:
    """The function of a stage's command, with the signature and the docstring from which Typer builds the command."""
    from synth.pipelines.runtime.backends import EngineSpec, SandboxSpec
    from synth.pipelines.runtime.options import Options, ScaleOptions
    from synth.pipelines.runtime.stage import TableStage

    groups: list[type] = [run_options(stage)]
    groups += [EngineSpec] if stage.uses_engine else []
    groups += [SandboxSpec] if stage.uses_sandbox else []
    between, options = stage_options(stage)
    taken = {one.name for one in (*between, *options)}
    # A table stage has them hidden, to say why it does not take them.
    scale = [one for one in own(ScaleOptions) if issubclass(stage, TableStage) and one.name not in taken]
    source, *_, target = usage(stage).split()
    kind: Any = list[str] if takes_many_inputs(stage) else str
    writes, parser = "Dataset directory to write.", path
    if writes_to_stores(stage):
        writes, parser = "Dataset directory to write, or the URL of one in an object store.", output
    parameters = [
        _parameter("source", kind, typer.Argument(metavar=source, help=stage.reads or INPUT_SPEC)),
        *map(_of_option, between),
        _parameter("out", Path, typer.Argument(metavar=target, help=writes, parser=parser)),
        *map(_of_option, options),
        *(_of_option(one) for group in groups for one in declared(group)),
        *(_of_option(one, hidden=True) for one in scale),
    ]

    def command(**typed: Any) -> None:
        from synth.cli.running import run_stage
        from synth.pipelines.runtime.runner import Run

        source, out = typed.pop("source"), typed.pop("out")
        _refuse_scale(scale, stage, typed)
        made_stage = build(stage, typed)
        if not made_stage.uses_engine:
            _require_none([*declared(EngineSpec), *own(Options)], stage.uses_engine, stage, typed)
        if not made_stage.uses_sandbox:
            _require_none(declared(SandboxSpec), stage.uses_sandbox, stage, typed)
        engine = build(EngineSpec, typed).open() if made_stage.uses_engine else None
        sandbox = build(SandboxSpec, typed).open() if made_stage.uses_sandbox else None
        inputs = [source] if isinstance(source, str) else list(source)
        # Those of the run only: an option of the stage may have the name of another one that it does not take.
        of_run = {one.name: typed[one.name] for one in declared(run_options(stage))}
        options = build(Options, of_run, command=recorded(sys.argv[1:], groups))
        inputs += made_stage.further_inputs
        run_stage(Run(made_stage, inputs, out, options, engine=engine, sandbox=sandbox))

    command.__doc__ = _help(stage)
    return _with_parameters(command, parameters)


def _require_none(options: Iterable[DeclaredOption], used: Any, stage: "type[Stage]", typed: Mapping[str, Any]) -> None:
    """Raises `UsageError` if one of the options is given: they have an effect only where their tool is `used`."""
    given = [one for one in options if typed.get(one.name) not in (None, [])]
    if given and isinstance(used, ByOption):
        from synth.schemas.errors import UsageError

        raise UsageError(f"{given[0].shown_name} applies only {used.when(stage, bool)}")


def _refuse_scale(options: Iterable[DeclaredOption], stage: "type[Stage]", typed: Mapping[str, Any]) -> None:
    from synth.schemas.errors import UsageError

    for one in options:
        if typed[one.name] is not None:
            raise UsageError(
                f"{stage.name} reads its whole input in one process, so {one.shown_name} does not apply to it"
            )


def recorded(arguments: Sequence[str], groups: Sequence[type]) -> list[str]:
    """The command line as its output records it: without the secrets in the values of options, to be repeated."""
    options = {flag: one.option for group in groups for one in declared(group) for flag in one.flags}
    shown_by = {flag: option.shown for flag, option in options.items() if option.shown}
    left_out = {flag for flag, option in options.items() if not option.recorded}
    words: list[str] = []
    for before, word in zip(["", *arguments], arguments, strict=False):
        flag, _, value = word.partition("=")
        if before in left_out or flag in left_out:
            continue
        if before in shown_by:
            words.append(shown_by[before](word))
        else:
            words.append(f"{flag}={shown_by[flag](value)}" if flag in shown_by and flag != word else word)
    return words


def _help(stage: "type[Stage]") -> str:
    paragraphs = [summary(stage)]
    for side, verb in (("input", "Reads"), ("output", "Writes")):
        for condition, record in records(stage, side):
            paragraphs.append(f"{verb}{f' {condition}' if condition else ''}: {columns_in_words(record)}.")
    if below := [name for name in STAGES if name.startswith(f"{stage.name} ")]:
        listed = (f"  synth {name}: {summary(stage_named(name))}" for name in below)
        paragraphs.append("\b\nFurther commands:\n" + "\n".join(listed))
    if stage.commands:
        paragraphs.append("\b\nExamples:\n" + "\n".join(f"  {example}" for example in stage.commands))
    return "\n\n".join(paragraphs)


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """A command that replaces each parameter that is a dataclass of options by one option per field."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in groups:
            parameters += map(_of_option, declared(groups[parameter.name]))
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=kind))

    @wraps(function)
    def command(**typed: Any) -> None:
        names = {one.name for group in groups.values() for one in declared(group)}
        values = {name: value for name, value in typed.items() if name not in names}
        function(**values, **{name: build(group, typed) for name, group in groups.items()})

    return _with_parameters(command, parameters)


def _with_parameters(function: Callable[..., None], parameters: list[inspect.Parameter]) -> Callable[..., None]:
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def _of_option(one: DeclaredOption, *, hidden: bool = False) -> inspect.Parameter:
    option = one.option
    settings: dict[str, Any] = {"help": help_text(one), "metavar": one.metavar}
    if one.cli_type is Path or option.argument:
        settings["parser"] = path if one.cli_type is Path else None
    if option.argument:
        return _parameter(one.name, one.cli_type, typer.Argument(**settings))
    # Choices are checked when values are made, for the same message here and in Python.
    typed: Any = str if one.choices else one.cli_type
    kind = list[typed] if one.is_repeatable else typed
    information = typer.Option(
        *one.flags,
        **settings,
        show_default=False,
        rich_help_panel=option.panel,
        hidden=hidden,
        autocompletion=one.suggestions if one.suggestions("") else None,
    )
    return _parameter(one.name, kind | None, information, default=None)


def _parameter(name: str, kind: Any, information: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, information]
    )
