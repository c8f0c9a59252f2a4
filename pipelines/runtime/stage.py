"""The two kinds of stage that recipes are made of.

A row stage is a coroutine over one row: it awaits its tools and yields output rows. A table stage reads whole tables.
Either way a stage is a frozen dataclass whose fields are the options that determine its output, so that a run can be
identified by them; what does not determine the output (concurrency, progress) belongs to the runner.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import msgspec
import pyarrow as pa

from synth.pipelines.runtime.outcomes import (
    NothingSaid,
    Reject,
    Rejected,
    Row,
    Unanswered,
    even_if_silent,
    nothing_kept,
)
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.tools import Tools
from synth.schemas.errors import InputError
from synth.schemas.record import Record

# With what a stage is written in: its rows, its tools, and the ways in which a row may end.
__all__ = [
    "NothingSaid",
    "Output",
    "Reject",
    "Rejected",
    "Row",
    "RowStage",
    "Stage",
    "TableStage",
    "Tools",
    "Unanswered",
    "even_if_silent",
    "nothing_kept",
    "row_schemas",
]


class Output(Protocol):
    """Where a table stage puts its rows, in order.

    A stage that is killed is called again from the start with the same folders: `work` is for what it would be sorry
    to make twice and goes when the run ends, `kept` for folders that are to stand in the output beside the rows.
    """

    work: Path
    kept: Path

    def write(self, rows: Iterable[Row], *, accounts_for: int) -> None:
        """Add output rows; `accounts_for` is the number of input rows that they stand for."""

    def write_table(self, table: pa.Table, *, accounts_for: int) -> None:
        """Add a table of output rows, which must have the columns of the stage's output, in that order."""

    def reject(self, row: Row, reason: str, detail: str = "") -> None:
        """Turn one input row away."""

    def reject_table(self, table: pa.Table, reasons: Sequence[str], details: Sequence[str]) -> None:
        """Turn input rows away, each with its reason and detail."""

    def skip(self, count: int, reason: str) -> None:
        """Turn input rows away without a copy of each in `rejected/`: those that a selection has no place for."""

    def reject_output(self, output: Rejected) -> None:
        """Account for an output row that was made and filtered out; its input row is accounted for elsewhere."""

    def progress(self, rows: int) -> None:
        """Say how many input rows a first pass over all of them has gone through: what is shown until one is done."""

    def tally(self, name: str, amount: float = 1) -> None: ...


@dataclass(frozen=True)
class Stage:
    """What both kinds share. `version` rises when the same options would give other rows.

    Where `input` is an open record, all inputs are read as one table; where `output` is, too, output rows have every
    column of that table, and then those of the record, of which one takes the place of a column with its name.

    `accepted` is the tally that counts what the stage is run for, where that is not its output rows. `advice` says what
    to try where most rows are rejected for one reason.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    accepted: ClassVar[str | None] = None
    advice: ClassVar[Mapping[str, str]] = MappingProxyType({})
    input: ClassVar[Record]
    output: ClassVar[Record]

    @property
    def means(self) -> Mapping[str, str]:
        """Tallies that are told as a mean, each with the tally of what it is a mean over."""
        return {}

    def adapted(self, table: pa.Table) -> pa.Table:
        """Rows of an open record under the column names that the stage reads; nothing else changes."""
        return table

    def identity(self) -> dict[str, Any]:
        """The options that determine the output, as JSON values; a prompt stands for itself by its digest."""
        return {field.name: _as_json(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class RowStage(Stage):
    """One input row at a time. Every input row must end in output rows, in `Reject`, or in an error of its own."""

    @abstractmethod
    def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        """Yield the output rows of one input row. Ids of output rows start with the input row's id and a slash."""


@dataclass(frozen=True)
class TableStage(Stage):
    """Whole tables at a time. Every input row must be written from or rejected; the runner checks the sum."""

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
