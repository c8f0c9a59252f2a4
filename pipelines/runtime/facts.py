"""What can be said of a stage from its declaration: for help, documentation and `synth schema`."""

from collections.abc import Iterator
from inspect import cleandoc

from synth.pipelines.runtime.declared import ByOption, DeclaredOption, declared
from synth.pipelines.runtime.stage import Stage
from synth.schemas.record import Column, Record

__all__ = [
    "INPUT_SPEC",
    "columns_in_words",
    "described",
    "description",
    "needs",
    "records",
    "spelling",
    "stage_options",
    "summary",
    "takes_many_inputs",
    "usage",
]

INPUT_SPEC = "Dataset directory, file, glob, or hf:NAME[:CONFIG][:SPLIT]."


def summary(stage: type[Stage]) -> str:
    """One sentence: the first line of the docstring."""
    return cleandoc(stage.__doc__ or "").partition("\n")[0]


def description(stage: type[Stage]) -> str:
    """What the docstring says after its first line."""
    return cleandoc(stage.__doc__ or "").partition("\n")[2].strip()


def takes_many_inputs(stage: type[Stage]) -> bool:
    """Whatever reads an open record does, and some table stages."""
    return stage.arguments[0].endswith("...") or all(record.open for _, record in records(stage, "input"))


def usage(stage: type[Stage]) -> str:
    """The arguments: `INPUT... OUTPUT`."""
    source, target = stage.arguments
    several = "..." * (takes_many_inputs(stage) and not source.endswith("..."))
    return " ".join((f"{source}{several}", *(one.spelled for one in stage_options(stage)[0]), target))


def records(stage: type[Stage], side: str) -> Iterator[tuple[str, Record]]:
    """The records that a stage reads (`input`) or writes (`output`), each with the option that it depends on."""
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
    """The engine and the sandbox, as far as a stage uses them."""
    for name, fact in (("a model", stage.uses_engine), ("the sandbox", stage.uses_sandbox)):
        if isinstance(fact, ByOption):
            yield f"{name} {fact.when(stage, bool)}"
        elif fact:
            yield name


def spelling(option: DeclaredOption) -> str:
    """`-n, --paths INTEGER`, or the name of an argument."""
    if option.option.argument:
        return option.spelled
    return " ".join(filter(None, (", ".join(option.flags), option.metavar)))


def described(option: DeclaredOption) -> str:
    """The help of an option, then its default, bounds and conditions in brackets."""
    facts = [*_bounds(option)]
    if option.option.env:
        facts.append(f"environment variable {option.option.env}")
    if option.is_required and not option.option.argument:
        facts.append("required")
    return f"{option.option.help}  [{'; '.join(facts)}]" if facts else option.option.help


def _bounds(option: DeclaredOption) -> Iterator[str]:
    low, high = option.option.min, option.option.max
    if option.default:
        yield f"default: {option.default}"
    if low is not None and high is not None:
        yield f"{low:g} to {high:g}"
    elif low is not None:
        yield f"at least {low:g}"


def stage_options(stage: type[Stage]) -> tuple[list[DeclaredOption], list[DeclaredOption]]:
    """The arguments that stand between input and output, and the options."""
    options = declared(stage)
    return [one for one in options if one.option.argument], [one for one in options if not one.option.argument]
