"""Generates the page docs/commands.md from the stages: `python -m synth.cli.reference > docs/commands.md`."""

from collections.abc import Iterable, Iterator

from synth.cli.markdown import table
from synth.pipelines.recipes import DATA, RECIPES, STAGES, stage_named
from synth.pipelines.runtime.backends import EngineSpec, SandboxSpec
from synth.pipelines.runtime.declared import DeclaredOption, declared, own
from synth.pipelines.runtime.facts import (
    description,
    help_text,
    needs,
    records,
    stage_options,
    summary,
    synopsis,
    usage,
)
from synth.pipelines.runtime.options import Options, RowOptions, ScaleOptions, TableOptions, ToolOptions
from synth.pipelines.runtime.stage import Stage
from synth.schemas.record import Record

__all__ = ["page"]

OPENING = """\
<!-- Generated from the stages by `python -m synth.cli.reference > docs/commands.md`. -->
# Commands that run a stage

Each reads datasets and writes a dataset directory. `synth COMMAND --help` and `synth schema COMMAND` show the same."""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n\n".join(_parts()) + "\n"


def _parts() -> Iterator[str]:
    yield OPENING
    for recipe, purpose in {**RECIPES, **DATA}.items():
        names = [name for name in STAGES if name.split()[0] == recipe]
        if recipe not in names:
            yield f"## {recipe}\n\n{purpose}"
        for name in names:
            yield from _stage(name, stage_named(name), "##" if name == recipe else "###")
    yield "## Options of every command"
    yield _options(declared(TableOptions))
    yield "Commands that process row by row also have these:"
    yield _options([*own(RowOptions), *own(ScaleOptions)])
    yield "And these, if they need a model or the sandbox:"
    yield _options(own(ToolOptions))
    yield "## Options of the engine\n\nFor commands that need a model."
    yield _options([*declared(EngineSpec), *own(Options)])
    yield "## Options of the sandbox\n\nFor commands that run programs."
    yield _options(declared(SandboxSpec))


def _stage(name: str, stage: type[Stage], heading: str) -> Iterator[str]:
    yield f"{heading} {name}\n\n{summary(stage)}"
    yield f"    synth {name} {usage(stage)}"
    if stage.name != name:
        yield f"The same as `synth {stage.name}`."
        return
    yield description(stage)
    needed = list(needs(stage))
    yield f"Needs {' and '.join(needed)}." if needed else "Needs neither a model nor the sandbox."
    for side, verb in (("input", "Reads"), ("output", "Writes")):
        for condition, record in records(stage, side):
            yield f"{verb}{f' {condition}' if condition else ''}, as `{record.name}`:"
            yield _columns(record)
    arguments, options = stage_options(stage)
    if arguments or options:
        yield _options([*arguments, *options])
    yield "\n".join(f"    {command}" for command in stage.commands)


def _columns(record: Record) -> str:
    rows = []
    for column in record.columns:
        names = ", ".join(f"`{name}`" for name in (column.name, *column.aliases))
        doc = f"{column.doc} (Optional.)" if column.optional else column.doc
        rows.append((names, str(column.type), doc))
    if record.open:
        rows.append(("any other", "", "As the input has it."))
    return table(("column", "type", "description"), rows)


def _options(options: Iterable[DeclaredOption]) -> str:
    return table(("option", "what it does"), [(f"`{synopsis(one)}`", help_text(one)) for one in options])


if __name__ == "__main__":
    print(page(), end="")
