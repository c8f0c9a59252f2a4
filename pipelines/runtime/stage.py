"""The two kinds of stage: row stages and table stages.

A row stage is a coroutine over one row: it awaits its tools and yields output rows. A table stage reads whole tables.
A stage is a frozen dataclass. Its fields are the options that determine its output and so identify a run; whatever does
not determine the output (concurrency, progress) is up to the runner. Fields annotated with an `Option` become options
on the command line and in the documentation.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
import pyarrow as pa

from synth.pipelines.engines.reward import RewardModel
from synth.pipelines.runtime.declared import ByOption, check, declared
from synth.pipelines.runtime.outcomes import (
    EmptyAnswer,
    Reject,
    Rejected,
    Row,
    Unanswered,
    allow_empty,
    check_not_empty,
    nothing_kept,
)
from synth.pipelines.runtime.output import Output
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.tools import Tools
from synth.schemas.errors import InputError
from synth.schemas.record import Record

if TYPE_CHECKING:
    from synth.pipelines.runtime.counts import Counts

# Includes re-exports: everything that the code of a stage needs.
__all__ = [
    "EmptyAnswer",
    "Output",
    "Reject",
    "Rejected",
    "Row",
    "RowStage",
    "Stage",
    "TableStage",
    "Tools",
    "Unanswered",
    "allow_empty",
    "check_not_empty",
    "nothing_kept",
    "row_schemas",
]


@dataclass(frozen=True)
class Stage:
    """The base of both kinds. `version` is incremented when the same options yield different rows.

    The first line of a stage's docstring is its summary on the command line, and `commands` are two example command
    lines. `arguments` are the names of its input and output (`reads` describes the input); options that are arguments
    come between them. `uses_engine` and `uses_sandbox` tell which tools its rows use.

    If `input` is an open record, all inputs are read as one table. If `output` is open too, output rows have the
    columns of that table, followed by those of the record; a record's column replaces an input column of the same name.

    If a stage `keeps_ids`, output rows are input rows, each with its id, so their ids are known to be unique. With
    `inputs_apart` it gets a table for each of its inputs, all with the same columns, instead of one.

    `accepted` names the tally of what the stage produces, if that is not its output rows. `advice` maps a rejection
    reason to a suggestion for when most rows are rejected for it. `prints_rows` prints the output, a few rows, when the
    run ends.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    commands: ClassVar[tuple[str, ...]] = ()
    arguments: ClassVar[tuple[str, str]] = ("INPUT", "OUTPUT")
    reads: ClassVar[str] = ""
    uses_engine: ClassVar[bool | ByOption[bool]] = False
    uses_sandbox: ClassVar[bool | ByOption[bool]] = False
    accepted: ClassVar[str | None] = None
    advice: ClassVar[Mapping[str, str]] = MappingProxyType({})
    prints_rows: ClassVar[bool] = False
    keeps_ids: ClassVar[bool] = False
    # The digest of its source, for a stage that is not part of this package and has no other version.
    code: ClassVar[str] = ""
    inputs_apart: ClassVar[bool] = False
    input: ClassVar[Record | ByOption[Record]]
    output: ClassVar[Record | ByOption[Record]]

    def __post_init__(self) -> None:
        """Raises `UsageError` for an option with an invalid value."""
        check(self)

    @property
    def means(self) -> Mapping[str, str]:
        """Tallies to report as means, each with the tally to divide by."""
        return {}

    @property
    def scorer(self) -> RewardModel | None:
        """The reward model that its rows ask for scores, not yet started."""
        return None

    @property
    def further_inputs(self) -> tuple[str, ...]:
        """Inputs named by options, read after the others."""
        return ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What a table stage divides its output rows among: names of folders, each a dataset directory of its own."""
        return ()

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        """The columns of the output, for an input with these columns."""
        if not self.output.open:
            return self.output.schema
        outputs = inputs
        for field in self.output.schema:
            index = inputs.get_field_index(field.name)
            if index < 0:
                outputs = outputs.append(field)
            elif inputs.field(index).type == field.type:
                outputs = outputs.set(index, field)
            else:
                raise InputError(
                    f"{self.name} writes a column {field.name} of its own ({field.type}), and the input has another "
                    f"one ({inputs.field(index).type}): rename the input's column with --column NAME={field.name}"
                )
        return outputs

    def adapted(self, table: pa.Table) -> pa.Table:
        """Rename the columns of an open record's table to those that the stage reads."""
        return table

    def published(self, out: Path, counts: "Counts") -> Iterable[str]:  # noqa: ARG002
        """Called when `out` is complete; returns remarks for the user."""
        return ()

    def identity(self) -> dict[str, Any]:
        """The options that determine the output, as JSON values; a prompt has its digest.

        Fields with `compare=False` and options that do not apply are left out.
        """
        left_out = {one.name for one in declared(type(self)) if one.only and not one.only.holds(self)}
        names = [field.name for field in fields(self) if field.compare and field.name not in left_out]
        return {name: _as_json(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class RowStage(Stage):
    """Processes rows one by one. Every input row must yield output rows, raise `Reject`, or fail with another error.

    If it `gathers`, there is one row: `rows` has all rows of the input, and its id is the last word of the stage's
    name. Input rows that it makes nothing of are yielded as `Rejected` with the ids they have; the others are counted
    as producing its output.
    """

    gathers: ClassVar[bool] = False

    def prepare(self, table: pa.Table) -> Self:  # noqa: ARG002
        """The stage to process `table`, the whole input: itself, or a copy with facts about the input."""
        return self

    @abstractmethod
    def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        """Yield the output rows of one input row. Ids of output rows start with the input row's id and a slash."""


@dataclass(frozen=True)
class TableStage(Stage):
    """Processes whole tables. Every input row must be accounted for or rejected; the runner checks the sum."""

    @abstractmethod
    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        """Read memory-mapped tables with exactly the columns of `input`; write to `output` in a stable order."""


def row_schemas(stage: Stage, table: pa.Table) -> tuple[pa.Schema, pa.Schema]:
    """The schemas of a stage's input rows and of its output rows, given the input `table`."""
    inputs = table.schema if stage.input.open else stage.input.schema
    return inputs, stage.output_schema(inputs)


def _as_json(value: Any) -> Any:
    if isinstance(value, Prompt):
        return {"prompt": value.origin, "sha256": value.digest, "text": value.text}
    return msgspec.to_builtins(value)
