"""Add the columns of another dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.declared import Option, names
from synth.pipelines.runtime.gather import Gatherer
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.errors import InputError, UsageError
from synth.schemas.reading.sources import Source
from synth.schemas.record import Record
from synth.schemas.records import ROW
from synth.schemas.sql import query

__all__ = ["Join"]

ROWS_AT_A_TIME = 1 << 16


def columns_read(typed: tuple[str, ...]) -> dict[str, str]:
    """Read `question,score=judge_score`: names in the one dataset, each with its name in the other."""
    pairs = [name.partition("=") for name in names(typed)]
    return {to: of if equals else to for to, equals, of in pairs}


@dataclass(frozen=True)
class Join(TableStage):
    """Add the columns of another dataset to the rows with the same key.

    Rows of the input keep their columns and order. Rows match if all key columns are equal (NULL equals nothing). With
    `--how inner`, rows without a match are counted as `no_match`; with `left` they stay, and the added columns are
    null. `semi` and `anti` add no columns: they keep the rows with and without a match.

    A row with one match keeps its id; of a row with several, the copies have the ids `ID/match-1`, `ID/match-2`, in the
    order of the other dataset.

    Memory: the keys of both datasets, and 16 bytes for each output row.
    """

    name: ClassVar[str] = "join"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    commands: ClassVar[tuple[str, ...]] = (
        "synth join questions/ scores.jsonl scored/ --on question",
        "synth join rows/ tags/ tagged/ --on id=row_id --take tags --how left",
    )

    other: Annotated[str, Option("The dataset whose columns are added, any input.", metavar="OTHER", argument=True)]
    on: Annotated[
        Mapping[str, str],
        Option(
            "Key columns; with `=`, the column of OTHER has another name. Repeatable.",
            metavar="NAME[=NAME],...",
            read=columns_read,
            default="id",
        ),
    ] = field(default_factory=lambda: {"id": "id"})
    take: Annotated[
        Mapping[str, str],
        Option(
            "Columns of OTHER to add; TO=FROM gives one another name. Repeatable.",
            metavar="NAME[=NAME],...",
            read=columns_read,
            default="all but its keys and its id",
        ),
    ] = field(default_factory=dict)
    how: Annotated[
        Literal["inner", "left", "semi", "anti"], Option("Which rows stay, and whether they get columns.")
    ] = "inner"

    @cached_property
    def _source(self) -> Source:
        try:
            return Source(self.other, ROW, {}, None)
        except InputError as error:
            raise InputError(f"OTHER: {error}") from error

    def identity(self) -> dict[str, Any]:
        # The content of the other dataset, wherever it is.
        return {**super().identity(), "other": self._source.fingerprint}

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        theirs = self._source.record.schema
        outputs = inputs
        for to, of in self._added.items():
            if to in inputs.names:
                raise UsageError(f"both datasets have a column {to}: choose what to add, as in --take their_{to}={of}")
            outputs = outputs.append(theirs.field(of).with_name(to).remove_metadata())
        return outputs

    @cached_property
    def _added(self) -> Mapping[str, str]:
        theirs = self._source.record.names
        for flag, named in (("--on", self.on.values()), ("--take", self.take.values())):
            if unknown := [name for name in named if name not in theirs]:
                raise UsageError(f"{flag} {unknown[0]}: {self.other} has no such column, only {', '.join(theirs)}")
        if self.how in ("semi", "anti"):
            if self.take:
                raise UsageError(f"--take does not apply with --how {self.how}, which adds no columns")
            return {}
        return self.take or {name: name for name in theirs if name not in ("id", *self.on.values())}

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        if unknown := [name for name in self.on if name not in table.column_names]:
            raise UsageError(f"--on {unknown[0]}: the input has no such column, only {', '.join(table.column_names)}")
        other = self._source.table(output.work / "other")
        ours, theirs = self._matches(table, other, output)
        is_match = theirs >= 0
        has_match = np.zeros(other.num_rows, bool)
        has_match[theirs[is_match]] = True
        output.tally("other_rows_without_match", int(np.count_nonzero(~has_match)))
        stays = {"left": np.ones(len(ours), bool), "anti": ~is_match}.get(self.how, is_match)
        if self.how == "semi":
            stays &= _begins_run(ours)
        ours, theirs = ours[stays], theirs[stays]
        begins = _begins_run(ours)
        left_out = table.num_rows - int(np.count_nonzero(begins))
        output.skip(left_out, "match" if self.how == "anti" else "no_match")
        joined = _Joined(table, other.select(list(self._added.values())).rename_columns(list(self._added)))
        ids = _match_numbers(begins)
        for start in range(0, len(ours), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            rows = joined.rows(ours[part], theirs[part], ids[part])
            output.write_table(rows, accounts_for=int(np.count_nonzero(begins[part])))

    def _matches(self, table: pa.Table, other: pa.Table, output: Output) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every pair of matching rows, in order of the input and then of the other dataset; -1 for no match."""
        keys = [f"key{number}" for number in range(len(self.on))]
        left = table.select(list(self.on)).rename_columns(keys)
        right = other.select(list(self.on.values())).rename_columns(keys)
        equal = " AND ".join(f"ours.{key} = theirs.{key}" for key in keys)
        found = query(
            f"SELECT ours.row AS ours, COALESCE(theirs.row, -1) AS theirs FROM ours LEFT JOIN theirs ON {equal} "
            "ORDER BY 1, 2",
            {"ours": _numbered(left), "theirs": _numbered(right)},
            "--on",
            ",".join(f"{ours}={theirs}" for ours, theirs in self.on.items()),
            output.work,
        )
        return found["ours"].to_numpy(), found["theirs"].to_numpy()


class _Joined:
    """Rows of a table beside rows of another one."""

    def __init__(self, table: pa.Table, added: pa.Table) -> None:
        self._ours = Gatherer(table)
        self._names = added.column_names
        # What -1 stands for: a row of nulls behind the others.
        nulls = pa.table([pa.nulls(1, kind) for kind in added.schema.types], schema=added.schema)
        self._theirs = Gatherer(pa.concat_tables([added, nulls]))
        self._nulls = added.num_rows

    def rows(self, ours: NDArray[np.int64], theirs: NDArray[np.int64], numbers: NDArray[np.int64]) -> pa.Table:
        """These rows of both; a number that is not 0 becomes a suffix of the id."""
        rows = self._ours.take(ours)
        if numbers.any():
            pairs = zip(rows["id"].to_pylist(), numbers.tolist(), strict=True)
            ids = [f"{row_id}/match-{number}" if number else row_id for row_id, number in pairs]
            place = rows.column_names.index("id")
            rows = rows.set_column(place, rows.schema.field(place), [pa.array(ids, rows.schema.field(place).type)])
        if self._names:
            found = self._theirs.take(np.where(theirs < 0, self._nulls, theirs))
            for field, column in zip(found.schema, found.columns, strict=True):
                rows = rows.append_column(field.remove_metadata(), column)
        return rows


def _numbered(table: pa.Table) -> pa.Table:
    return table.append_column("row", pa.array(np.arange(table.num_rows)))


def _begins_run(ours: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each pair is the first one of its row."""
    return np.not_equal(np.diff(ours, prepend=-1), 0)


def _match_numbers(begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number, from 1, of each pair among those of its row; 0 if it is the only one."""
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=len(begins))
    numbers = np.arange(len(begins)) - np.repeat(starts, sizes) + 1
    return np.where(np.repeat(sizes, sizes) == 1, 0, numbers)
