"""Reading any input as a table of one record type, with its columns matched, types and ids checked, and errors located.

A dataset directory with the right columns is memory-mapped in place. Any other input is converted once, in batches, to
an Arrow file that is then memory-mapped.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from synth.schemas.dataset import Dataset, read_shard
from synth.schemas.errors import InputError, UsageError
from synth.schemas.instructions import INSTANCES, NotText, given_in, with_input
from synth.schemas.locks import turn
from synth.schemas.phrases import plural
from synth.schemas.reading.bad_rows import SCHEMA, BadRow, Reading, bad_table
from synth.schemas.reading.columns import Misfit, convert, fitting, misfits, null_column, wanted
from synth.schemas.reading.formats import Batch, describe
from synth.schemas.reading.formats.exact import text_of
from synth.schemas.reading.inference import JsonTypes, declared_schema, infer_record
from synth.schemas.reading.inputs import Input, locate
from synth.schemas.reading.named import named_columns, with_file_column
from synth.schemas.record import Column, Record
from synth.schemas.records.shared import INPUT_TEXT
from synth.schemas.shards import ShardWriter
from synth.schemas.stores.places import origin

__all__ = ["Source"]

_ABSENT = object()


class _OtherTypes(Exception):
    """Columns of JSON have other types, or are other ones, than in the first rows."""


class Source:
    """The input `spec` (a path, a glob or `hf:NAME`), to be read as `record`.

    `columns` maps record columns (by name or alias) to input columns; other record columns are searched for by name,
    then by alias. `limit` reads only the first rows. Rows without an id get `<name>-<index>`, with the index in the
    whole input. `file_column` names a text column for the name of each row's file.

    An open record also has all other columns of the input, with inferred types; for them `columns` renames.

    A row that cannot be used is an error; if the source `rejects`, it becomes a bad row with a reason:
    `unreadable_row`, `missing_column`, `wrong_type`, `null_value` or `repeated_id`.
    """

    def __init__(
        self,
        spec: str | Input,
        record: Record,
        columns: Mapping[str, str],
        limit: int | None,
        *,
        rejects: bool = False,
        file_column: str | None = None,
    ) -> None:
        """Raises `InputError` for an input that does not exist, `UsageError` for an option that does not fit it."""
        self.columns = named_columns(record, columns)
        self.input = locate(spec) if isinstance(spec, str) else spec
        self.limit = limit
        self.rejects = rejects
        self.file_column = file_column
        self._asked = with_file_column(record, file_column) if file_column else record
        if file_column and self.input.names:
            raise UsageError(
                f"--file-column {file_column}: the ids of {self.input.spec} are already the names of its files"
            )

    @property
    def name(self) -> str:
        return self.input.name

    @property
    def record_is_open(self) -> bool:
        return self._asked.open

    @cached_property
    def record(self) -> Record:
        """The record type of the rows, with inferred columns if it is open."""
        if not self._asked.open:
            return self._asked
        return infer_record(self.input, self._asked, self.columns)

    @cached_property
    def fingerprint(self) -> str:
        """Hash (hex) of the input's content, and of its names if rows contain them; not of its path.

        It does not depend on `columns` and `limit`.
        """
        first = next(self.input.batches(lenient=self.rejects), None)
        if first is None:
            raise InputError(f"{self.input.spec} has no rows")
        names = list(self.input.labels.values()) if self.file_column else []
        if not any(first.has(name) for name in self._candidates(self._asked.columns[0])):
            names.append(self.name)
        return (
            xxhash.xxh3_128(" ".join([self.input.digest, *names]).encode()).hexdigest() if names else self.input.digest
        )

    def table(self, scratch: Path) -> pa.Table:
        """The usable rows of `read`."""
        return self.read(scratch).table

    def read(self, scratch: Path) -> Reading:
        """All rows, memory-mapped: the record's columns in order, with unique ids.

        A converted input is stored in the file `scratch`, where the next call with the same input finds it. Raises
        `InputError` naming the column and row at fault, or a damaged shard.
        """
        needed = self.input.first(self.limit)
        needed.verify()
        table = self._in_place(needed.dataset)
        reading = Reading(table, bad_table([])) if table is not None else self._converted_once(scratch)
        reading = self._without_nulls(reading.first(self.limit))

        def places(indices: Sequence[int]) -> list[str]:
            return self.input.places(reading.in_input(indices))

        if not (self.input.run.get("unique_ids") and "id" not in self.columns):
            reading = reading.without_duplicates(places, scratch.parent, rejects=self.rejects)
        if not reading.rows:
            raise InputError(f"{self.input.spec} has no rows")
        if not reading.table.num_rows:
            rows, first = plural(reading.rows, "row"), reading.bad["detail"][0]
            raise InputError(f"{self.input.spec} has {rows}, none of which can be used: {first}")
        if self._asked.open and needed.dataset:
            # What `datasets` stores about the columns, such as class names.
            metadata = needed.dataset.table.schema.metadata
            reading = replace(reading, table=reading.table.replace_schema_metadata(metadata))
        return reading

    def _candidates(self, column: Column) -> tuple[str, ...]:
        if column.name in self.columns:
            return (self.columns[column.name],)
        # The id may also be read as another column; otherwise a column named for one purpose is not used for another.
        taken = [given for name, given in self.columns.items() if name != "id"]
        return tuple(name for name in (column.name, *column.aliases) if name not in taken)

    def _in_place(self, dataset: Dataset | None) -> pa.Table | None:
        """The columns of a dataset directory as they are; None if values must be converted or ids generated."""
        if not dataset or self.file_column:
            return None
        table = dataset.table
        arrays = []
        for column in self.record.columns:
            if column.takes_input and {*self._candidates(INPUT_TEXT), INSTANCES} & {*table.column_names}:
                return None
            given = next((name for name in self._candidates(column) if name in table.column_names), None)
            if given and table.schema.field(given).type == column.type and not column.json:
                arrays.append(table[given])
            elif not given and column.optional and column.name not in self.columns:
                arrays.append(null_column(table.num_rows, column.type))
            else:
                return None
        return pa.Table.from_arrays(arrays, schema=self.record.schema)

    def _converted_once(self, scratch: Path) -> Reading:
        """The converted rows. JSON is read once if all rows have the types of the first ones, otherwise twice."""
        if "record" in vars(self) or not self._asked.open or self.limit is not None:
            return self._converted(scratch)
        try:
            first = JsonTypes()
            first.add(next(self.input.batches(lenient=True)))
            types = first.certain() if declared_schema(self.input) is None else None
            if types is not None:
                self.record = infer_record(self.input, self._asked, self.columns, types)
                return self._converted(scratch, types)
        except (StopIteration, _OtherTypes, InputError):
            # An error may be that of the wrong types.
            vars(self).pop("record", None)
        return self._converted(scratch)

    def _converted(self, scratch: Path, types: Mapping[str, pa.DataType] | None = None) -> Reading:
        """Raises `_OtherTypes` if the columns have not the `types`, if any are given."""
        read = {column.name: [str(column.type), column.json] for column in self.record.columns}
        key = [self.fingerprint, self.name, dict(self.columns), self.limit, read, self.rejects, self.file_column]
        schema = self.record.schema.with_metadata({"input": json.dumps(key)})
        aside = scratch.with_name(f"{scratch.name}.bad")
        # If several processes read the input, one converts it, and the others find it converted.
        with turn(scratch.with_name(f"{scratch.name}.lock")):
            if not (scratch.exists() and read_shard(scratch).schema.equals(schema, check_metadata=True)):
                with ShardWriter(scratch, schema) as usable, ShardWriter(aside, SCHEMA) as bad:
                    for rows, bad_rows in self._batches(types):
                        usable.write(rows)
                        if bad_rows:
                            bad.write(bad_table(bad_rows))
                    # `scratch` gets its name last, so that both files are complete where it exists.
                    bad.close()
                    usable.close()
        return Reading(read_shard(scratch).replace_schema_metadata(None), read_shard(aside))

    def _batches(self, types: Mapping[str, pa.DataType] | None) -> Iterator[tuple[pa.RecordBatch, list[BadRow]]]:
        unseen = dict(self.columns)
        seen = JsonTypes()
        first = 0
        for batch in self.input.batches(lenient=self.rejects):
            if types is not None:
                seen.add(batch)
                if seen.certain() != types:
                    raise _OtherTypes
            unseen = {name: given for name, given in unseen.items() if not batch.has(given)}
            if self.file_column and batch.has(self.file_column):
                raise UsageError(f"--file-column {self.file_column}: {origin(batch.file)} has a column of this name")
            rows, faults = self._read(batch, first)
            yield rows, self._bad_rows(batch, faults, first)
            first += batch.size
            if self.limit is not None and first >= self.limit:
                break
        for name, given in unseen.items():
            raise InputError(f"{self.input.spec} has no column {given}, which --column {name}={given} names")

    def _read(self, batch: Batch, first: int) -> tuple[pa.RecordBatch, dict[int, tuple[str, str]]]:
        """The usable rows of a batch that `first` rows precede; by index, the reason and detail of the others."""
        batch = self._fitting(batch)
        faults: dict[int, tuple[str, str]] = {}
        given = {column.name: self._given(column, batch, first, faults) for column in self.record.columns}
        arrays = []
        for column in self.record.columns:
            try:
                arrays.append(convert(column, given[column.name], text_only=batch.text_only))
            except Misfit as misfit:
                if misfit.index is None:
                    raise InputError(self._misfit(column, batch, misfit)) from misfit
                for each in misfits(column, given[column.name]):
                    faults.setdefault(each.index or 0, ("wrong_type", self._misfit(column, batch, each)))
        if faults and not self.rejects:
            raise InputError(faults[min(faults)][1])
        if faults:
            kept = [index for index in range(len(batch)) if index not in faults]
            arrays = [
                convert(column, _taken(given[column.name], kept), text_only=batch.text_only)
                for column in self.record.columns
            ]
        return pa.record_batch(arrays, schema=self.record.schema), faults

    def _fitting(self, batch: Batch) -> Batch:
        """The batch, or row by row where columns of JSON lack one or have other types."""
        wanted = []
        for column in self.record.columns:
            if column.name == self.file_column:
                continue
            name = next((name for name in self._candidates(column) if batch.has(name)), None)
            is_generated = column.name == "id" and "id" not in self.columns
            if column.takes_input or (name is None and not (column.optional or is_generated)):
                return batch.by_row
            wanted.append((column, name or ""))
        return fitting(batch, wanted)

    def _misfit(self, column: Column, batch: Batch, misfit: Misfit) -> str:
        given = next(name for name in self._candidates(column) if batch.has(name))
        place = origin(batch.file) if misfit.index is None else batch.place(misfit.index)
        return (
            f"{given} is {misfit.found} in {place}, where {wanted(column)} is needed: "
            f"name another column with --column {column.name}=NAME"
        )

    def _given(
        self, column: Column, batch: Batch, first: int, faults: dict[int, tuple[str, str]]
    ) -> list[Any] | pa.Array:
        """The values of one column, with generated ids or nulls for absent ones; notes required ones in `faults`."""
        if column.name == self.file_column:
            return [self.input.labels[batch.file]] * len(batch)
        values, has_gaps = _values(batch, self._candidates(column))
        if column.takes_input:
            values = self._with_inputs(values, batch, faults)
        if not has_gaps:
            return values
        if column.name == "id" and "id" not in self.columns:
            # Bad rows count, so that a row keeps its id when a bad row before it is corrected.
            start = first - batch.first
            return [self._generated_id(start + batch.index(i)) if v is _ABSENT else v for i, v in enumerate(values)]
        if not column.optional:
            if not isinstance(batch.rows, list):
                raise InputError(self._missing(batch.names(0), origin(batch.file)))
            for index, value in enumerate(values):
                if value is _ABSENT and index not in faults:
                    faults[index] = ("missing_column", self._missing(batch.names(index), batch.place(index)))
        return [None if value is _ABSENT else value for value in values]

    def _with_inputs(
        self, values: list[Any] | pa.Array, batch: Batch, faults: dict[int, tuple[str, str]]
    ) -> list[Any] | pa.Array:
        """The values of a column, each text joined with the input of its row."""
        names = self._candidates(INPUT_TEXT)
        found = [name for name in (*names, INSTANCES) if batch.has(name)]
        if not found:
            return values
        rows = batch.rows if isinstance(batch.rows, list) else batch.rows.select(found).to_pylist()
        texts = values if isinstance(values, list) else values.to_pylist()
        joined = []
        for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
            joined.append(text)
            try:
                joined[-1] = with_input(text, given_in(row, names)) if isinstance(text, str) else text
            except NotText as fault:
                detail = (
                    f"{fault.name} is {describe(fault.value)} in {batch.place(index)}, where text that belongs to the "
                    f"instruction is needed: name another column with --column {INPUT_TEXT.name}=NAME"
                )
                faults.setdefault(index, ("wrong_type", detail))
        return joined

    def _generated_id(self, index: int) -> str:
        return f"{self.name}-{index}"

    def _missing(self, names: Sequence[str], place: str) -> str:
        """The message for a row or a file with only the columns `names`: lists all missing columns."""
        lacking = [
            column
            for column in self.record.columns
            if not (column.optional or (column.name == "id" and "id" not in self.columns))
            and not any(name in names for name in self._candidates(column))
        ]
        wanted = [" or ".join(self._candidates(column)) for column in lacking]
        flags = [f"--column {column.name}=NAME" for column in lacking]
        return (
            f"{place} has no column {', and no column '.join(wanted)}, only {', '.join(names) or 'none'}: "
            f"name the {'one' if len(lacking) == 1 else 'ones'} to read with {' and '.join(flags)}"
        )

    def _bad_rows(self, batch: Batch, faults: Mapping[int, tuple[str, str]], first: int) -> list[BadRow]:
        """The bad rows of a batch that `first` rows precede, in order."""
        start = first - batch.first
        found = [
            BadRow(start + bad.index, self._generated_id(start + bad.index), "unreadable_row", bad.detail, bad.raw)
            for bad in batch.bad
        ]
        for index, (reason, detail) in faults.items():
            row, number = batch.row(index), start + batch.index(index)
            given = next((row[name] for name in self._candidates(self._asked.columns[0]) if name in row), None)
            row_id = (str(given) if isinstance(given, str | int) else "") or self._generated_id(number)
            found.append(BadRow(number, row_id, reason, detail, text_of(row, otherwise=str)))
        return sorted(found)

    def _without_nulls(self, reading: Reading) -> Reading:
        import pyarrow.compute as pc

        table = reading.table
        needed = [c for c in self.record.columns if not (c.optional or c.numeric) and table[c.name].null_count]
        if not needed:
            return reading
        nulls = {c.name: set(np.flatnonzero(pc.is_null(table[c.name]).to_numpy()).tolist()) for c in needed}
        indices = sorted(set().union(*nulls.values()))
        if not self.rejects:
            del indices[1:]
        in_input = reading.in_input(indices)
        faults = {}
        for index, number, place in zip(indices, in_input, self.input.places(in_input), strict=True):
            column = next(column for column in needed if index in nulls[column.name])
            detail = (
                f"{column.name} is null in {place}, where {wanted(column)} is needed: "
                f"name another column with --column {column.name}=NAME, or leave the row out"
            )
            if not self.rejects:
                raise InputError(detail)
            faults[index] = (table["id"][index].as_py() or self._generated_id(number), "null_value", detail)
        return reading.without(faults)


def _taken(values: list[Any] | pa.Array, kept: Sequence[int]) -> list[Any] | pa.Array:
    return [values[index] for index in kept] if isinstance(values, list) else values.take(pa.array(kept, pa.int64()))


def _values(batch: Batch, candidates: tuple[str, ...]) -> tuple[list[Any] | pa.Array, bool]:
    """For each row the value of its first candidate, or `_ABSENT`; and whether any may be absent."""
    found = [name for name in candidates if batch.has(name)]
    if not found:
        return [_ABSENT] * len(batch), True
    if not isinstance(batch.rows, list):
        return batch.rows.column(found[0]), False
    try:
        return list(map(itemgetter(found[0]), batch.rows)), False
    except KeyError:
        return [next((row[name] for name in found if name in row), _ABSENT) for row in batch.rows], True
