"""Facts about a stage, from its declaration: for help, documentation and `synth schema`."""

from collections.abc import Iterator
from inspect import cleandoc

from synth.pipelines.runtime.declared import ByOption, DeclaredOption, declared
from synth.pipelines.runtime.options import Options, RowOptions, TableOptions, ToolOptions
from synth.pipelines.runtime.stage import RowStage, Stage
from synth.schemas.record import Column, Record

__all__ = [
    "INPUT_SPEC",
    "columns_in_words",
    "description",
    "help_text",
    "needs",
    "records",
    "run_options",
    "stage_options",
    "summary",
    "synopsis",
    "takes_many_inputs",
    "usage",
    "writes_to_stores",
]

INPUT_SPEC = (
    "Dataset directory, file, glob, URL of an object store, hf:NAME[:CONFIG][:SPLIT], or - for JSONL on standard input."
)


def summary(stage: type[Stage]) -> str:
    """The first line of the docstring, one sentence."""
    return cleandoc(stage.__doc__ or "").partition("\n")[0]


def description(stage: type[Stage]) -> str:
    """The docstring without its first line."""
    return cleandoc(stage.__doc__ or "").partition("\n")[2].strip()


def takes_many_inputs(stage: type[Stage]) -> bool:
    """True for stages that read open records, and for some table stages."""
    return stage.arguments[0].endswith("...") or all(record.open for _, record in records(stage, "input"))


def usage(stage: type[Stage]) -> str:
    """The arguments: `INPUT... OUTPUT`."""
    source, target = stage.arguments
    several = "..." * (takes_many_inputs(stage) and not source.endswith("..."))
    return " ".join((f"{source}{several}", *(one.shown_name for one in stage_options(stage)[0]), target))


def writes_to_stores(stage: type[Stage]) -> bool:
    """Whether the output may be in an object store: what goes there is a chunk of rows at a time."""
    return issubclass(stage, RowStage)


def records(stage: type[Stage], side: str) -> Iterator[tuple[str, Record]]:
    """The records that a stage reads (`input`) or writes (`output`), each with the option that selects it."""
    fact = getattr(stage, side)
    if not isinstance(fact, ByOption):
        yield "", fact
        return
    for value, record in fact.values.items():
        yield ByOption(fact.option, {value: True}).when(stage, bool), record


def columns_in_words(record: Record) -> str:
    """`question (or query, problem), answer (optional)`."""
    columns = ", ".join(map(_column, record.columns))
    return f"{columns}, and all other columns of the input" if record.open else columns


def _column(column: Column) -> str:
    remarks = [f"or {', '.join(column.aliases)}"] if column.aliases else []
    if column.optional:
        remarks.append("optional")
    return f"{column.name} ({'; '.join(remarks)})" if remarks else column.name


def needs(stage: type[Stage]) -> Iterator[str]:
    """Which of a model and the sandbox a stage uses."""
    for name, fact in (("a model", stage.uses_engine), ("the sandbox", stage.uses_sandbox)):
        if isinstance(fact, ByOption):
            yield f"{name} {fact.when(stage, bool)}"
        elif fact:
            yield name


def synopsis(option: DeclaredOption) -> str:
    """`-n, --paths INTEGER`, or the name of an argument."""
    if option.option.argument:
        return option.shown_name
    return " ".join(filter(None, (", ".join(option.flags), option.metavar)))


def help_text(option: DeclaredOption) -> str:
    """The help of an option, then its default, bounds and conditions in brackets."""
    low, high = option.option.min, option.option.max
    facts = [f"default: {option.default}"] if option.default else []
    if low is not None:
        facts.append(f"at least {low:g}" if high is None else f"{low:g} to {high:g}")
    if option.option.env:
        facts.append(f"environment variable {option.option.env}")
    if option.is_required and not option.option.argument:
        facts.append("required")
    return f"{option.option.help}  [{'; '.join(facts)}]" if facts else option.option.help


def stage_options(stage: type[Stage]) -> tuple[list[DeclaredOption], list[DeclaredOption]]:
    """The arguments between input and output, and the options."""
    options = declared(stage)
    return [one for one in options if one.option.argument], [one for one in options if not one.option.argument]


def run_options(stage: type[Stage]) -> type[TableOptions]:
    """The options of a run that have an effect on this stage."""
    if not issubclass(stage, RowStage):
        return TableOptions
    if stage.uses_engine:
        return Options
    return ToolOptions if stage.uses_sandbox else RowOptions
