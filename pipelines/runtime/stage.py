"""The two kinds of stage that recipes are made of.

A row stage is a coroutine over one row: it awaits its tools and yields output rows. A table stage reads whole tables.
Either way a stage is a frozen dataclass whose fields are the options that determine its output, so that a run can be
identified by them; what does not determine the output (concurrency, progress) belongs to the runner. A field that is
declared with an `Option` is on the command line, which is made from the stage, as its documentation is.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import msgspec
import pyarrow as pa

from synth.pipelines.runtime.declared import ByOption, check, declared
from synth.pipelines.runtime.outcomes import (
    EmptyAnswer,
    Reject,
    Rejected,
    Row,
    Unanswered,
    allow_empty,
    nothing_kept,
)
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.tools import Tools
from synth.schemas.errors import InputError
from synth.schemas.record import Record

if TYPE_CHECKING:
    from synth.pipelines.runtime.counts import Counts

# Includes all that a stage is written with.
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
    "nothing_kept",
    "row_schemas",
]


class Output(Protocol):
    """Where a table stage puts its rows, in order.

    On resume a stage starts over with the same folders. `work` holds intermediate results that are expensive to
    repeat, and is deleted when the run ends; `kept` becomes part of the output.
    """

    work: Path
    kept: Path
    seed: int

    def salt(self, *purpose: str | int) -> int:
        """64 bits that follow from (run seed, stage, purpose), to hash row ids with."""
        ...

    def write(self, rows: Iterable[Row], *, accounts_for: int) -> None:
        """Add output rows, made from `accounts_for` input rows."""

    def write_table(self, table: pa.Table, *, accounts_for: int) -> None:
        """Add a table of output rows, which must have the columns of the stage's output, in that order."""

    def reject(self, row: Row, reason: str, detail: str = "") -> None:
        """Reject one input row."""

    def reject_table(self, table: pa.Table, reasons: Sequence[str], details: Sequence[str]) -> None:
        """Reject input rows, each with its reason and detail."""

    def skip(self, count: int, reason: str) -> None:
        """Reject input rows, such as those a selection leaves out, without a copy in `rejected/`."""

    def reject_output(self, output: Rejected) -> None:
        """Record a filtered output row; its input row is accounted for separately."""

    def progress(self, rows: int) -> None:
        """Report how many input rows a first pass has read; shown until the first row is finished."""

    def tally(self, name: str, amount: float = 1) -> None: ...


@dataclass(frozen=True)
class Stage:
    """What both kinds share. `version` rises when the same options would yield other rows.

    The first line of a stage's docstring is its summary on the command line, and `commands` are two examples of a
    command line. `arguments` name its input and output there (`reads` says what the input may be); options that
    are arguments stand between them. `uses_engine` and `uses_sandbox` say which tools its rows await.

    Where `input` is an open record, all inputs are read as one table; where `output` is, too, output rows have every
    column of that table, and then those of the record, of which one takes the place of a column with its name.

    `accepted` names the tally of what the stage produces, where that is not its output rows. `advice` maps a reason to
    what to try if most rows are rejected for it. `prints_rows`: print the output, a few rows, when the run ends.
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
    def further_inputs(self) -> tuple[str, ...]:
        """Inputs that options name, read after the others."""
        return ()

    def adapted(self, table: pa.Table) -> pa.Table:
        """Rows of an open record under the column names that the stage reads; nothing else changes."""
        return table

    def published(self, out: Path, counts: "Counts") -> Iterable[str]:  # noqa: ARG002
        """Called when `out` is complete; returns remarks for the user."""
        return ()

    def identity(self) -> dict[str, Any]:
        """The options that determine the output, as JSON values; a prompt stands for itself by its digest.

        Fields with `compare=False` are not among them, nor are options that do not apply.
        """
        left_out = {one.name for one in declared(type(self)) if one.only and not one.only.holds(self)}
        names = [field.name for field in fields(self) if field.compare and field.name not in left_out]
        return {name: _as_json(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class RowStage(Stage):
    """Processes rows one by one. Every input row must yield output rows, raise `Reject`, or fail with another error."""

    def prepare(self, table: pa.Table) -> Self:  # noqa: ARG002
        """The stage that processes the rows of `table`, the whole input: itself, or a copy that knows it."""
        return self

    @abstractmethod
    def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        """Yield the output rows of one input row. Ids of output rows start with the input row's id and a slash."""


@dataclass(frozen=True)
class TableStage(Stage):
    """Processes whole tables. Every input row must be accounted for or rejected; the runner checks the sum."""

    @abstractmethod
    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        """Read memory-mapped tables that hold exactly the columns of `input`; write to `output` in a stable order."""


def row_schemas(stage: Stage, table: pa.Table) -> tuple[pa.Schema, pa.Schema]:
    """The columns of a stage's input rows and of its output rows, where it reads `table`."""
    inputs = table.schema if stage.input.open else stage.input.schema
    if not stage.output.open:
        return inputs, stage.output.schema
    outputs = inputs
    for field in stage.output.schema:
        place = inputs.get_field_index(field.name)
        if place < 0:
            outputs = outputs.append(field)
        elif inputs.field(place).type == field.type:
            outputs = outputs.set(place, field)
        else:
            raise InputError(
                f"{stage.name} writes a column {field.name} of its own ({field.type}), and the input has another one "
                f"({inputs.field(place).type}): give that another name with --column NAME={field.name}"
            )
    return inputs, outputs


def _as_json(value: Any) -> Any:
    if isinstance(value, Prompt):
        return {"prompt": value.origin, "sha256": value.digest, "text": value.text}
    return msgspec.to_builtins(value)
