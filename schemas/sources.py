"""Any input as a table of one record type: columns found, types checked, ids made and checked, errors placed.

A dataset directory that has the columns is used where it lies, memory-mapped; everything else is written once, as it
streams by, into an Arrow file that is then memory-mapped.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from schemas.columns import Misfit, convert, wanted
from schemas.dataset import read_shard
from schemas.errors import InputError, UsageError
from schemas.formats import Batch, describe
from schemas.given import INSTANCES, NotText, given_in
from schemas.inference import infer_record
from schemas.inputs import Input, locate
from schemas.instructions import with_input
from schemas.record import Column, Record
from schemas.records.shared import INPUT_TEXT

__all__ = ["Source", "first_repetition", "joined"]

_ABSENT = object()


class Source:
    """The input `spec` (a path, a glob or `hf:NAME`), to be read as `record`.

    `columns` names the input column of a record column; one that is not in it is searched for by its name, then by its
    aliases. `limit` takes the first rows only. Rows without an id get `<name>-<index>`, the index over the whole input.

    An open record has every other column of the input, too, with the type that its values have; there `columns`
    renames.
    """

    def __init__(self, spec: str, record: Record, columns: Mapping[str, str], limit: int | None) -> None:
        """Raises `InputError` where there is nothing to read, `UsageError` where `columns` cannot be meant."""
        for name, given in columns.items():
            takes_input = any(column.takes_input for column in record.columns)
            if name not in record.names and not record.open and not (takes_input and name == INPUT_TEXT.name):
                raise UsageError(f"--column {name}={given}: no column {name} is read, only {', '.join(record.names)}")
            others = [other for other in columns if columns[other] == given and other != name]
            if others:
                raise UsageError(f"--column {name}={given}: {given} is already read as {others[0]}")
        self.input: Input = locate(spec)
        self.columns = columns
        self.limit = limit
        self._asked = record

    @property
    def name(self) -> str:
        return self.input.name

    @cached_property
    def record(self) -> Record:
        """What the rows are read as: the columns that were asked for, or all of them."""
        return infer_record(self.input, self._asked, self.columns) if self._asked.open else self._asked

    @cached_property
    def fingerprint(self) -> str:
        """Hash (hex) of what the input holds, and of its name where ids are made of that; not of where it lies.

        The same input read with other `columns` or another `limit` has the same fingerprint.
        """
        first = next(self.input.batches(), None)
        if first is None:
            raise InputError(f"{self.input.spec} has no rows")
        if any(first.has(name) for name in self._candidates(self._asked.columns[0])):
            return self.input.digest
        return xxhash.xxh3_128(f"{self.input.digest} {self.name}".encode()).hexdigest()

    def table(self, scratch: Path) -> pa.Table:
        """All rows, memory-mapped: the record's columns in its order, ids unique.

        What has to be converted is kept in the file `scratch`, and found there by the next call with the same input.
        Raises `InputError` naming the column and the row that are not as they must be, or a shard that is damaged.
        """
        self.input.verify()
        table = self._in_place()
        if table is None:
            table = self._converted(scratch)
        table = table.slice(0, self.limit)
        if not table.num_rows:
            raise InputError(f"{self.input.spec} has no rows")
        self._refuse_nulls(table)
        _refuse_repeated_ids(table["id"], self.input.place)
        if self._asked.open and self.input.dataset:
            # What `datasets` knows of the columns, such as the names of classes.
            table = table.replace_schema_metadata(self.input.dataset.table.schema.metadata)
        return table

    def _candidates(self, column: Column) -> tuple[str, ...]:
        if column.name in self.columns:
            return (self.columns[column.name],)
        # An id may be a text of the row, too; otherwise what is named for one thing is not found for another.
        taken = [given for name, given in self.columns.items() if name != "id"]
        return tuple(name for name in (column.name, *column.aliases) if name not in taken)

    def _in_place(self) -> pa.Table | None:
        """The columns of a dataset directory as they are; None where values are to be converted or ids to be made."""
        if not self.input.dataset:
            return None
        table = self.input.dataset.table
        arrays = []
        for column in self.record.columns:
            if column.takes_input and {*self._candidates(INPUT_TEXT), INSTANCES} & {*table.column_names}:
                return None
            given = next((name for name in self._candidates(column) if name in table.column_names), None)
            if given and table.schema.field(given).type == column.type:
                arrays.append(table[given])
            elif not given and column.optional and column.name not in self.columns:
                arrays.append(pa.chunked_array([pa.nulls(table.num_rows, column.type)]))
            else:
                return None
        return pa.Table.from_arrays(arrays, schema=self.record.schema)

    def _converted(self, scratch: Path) -> pa.Table:
        types = {column.name: str(column.type) for column in self.record.columns}
        key = [self.fingerprint, self.name, dict(self.columns), self.limit, types]
        schema = self.record.schema.with_metadata({"input": json.dumps(key)})
        if not (scratch.exists() and read_shard(scratch).schema.equals(schema, check_metadata=True)):
            temporary = scratch.with_name(f"{scratch.name}.tmp")
            with temporary.open("wb") as file:
                with pa.ipc.new_stream(file, schema) as stream:
                    for batch in self._batches():
                        stream.write_batch(batch)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(scratch)
        return read_shard(scratch).replace_schema_metadata(None)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        not_seen = dict(self.columns)
        first = 0
        for batch in self.input.batches():
            not_seen = {name: given for name, given in not_seen.items() if not batch.has(given)}
            arrays = [self._array(column, batch, first) for column in self.record.columns]
            yield pa.record_batch(arrays, schema=self.record.schema)
            first += len(batch)
            if self.limit is not None and first >= self.limit:
                break
        for name, given in not_seen.items():
            raise InputError(f"{self.input.spec} has no column {given}, which --column {name}={given} names")

    def _array(self, column: Column, batch: Batch, first: int) -> pa.Array:
        """One column of a batch whose first row has the index `first` in the whole input."""
        values = _values(batch, self._candidates(column))
        if column.takes_input:
            values = self._with_inputs(values, batch)
        if isinstance(values, list) and _ABSENT in values:
            values = self._filled(column, values, batch, first)
        try:
            return convert(column, values, text_only=batch.format == "CSV")
        except Misfit as misfit:
            given = next(name for name in self._candidates(column) if batch.has(name))
            place = str(batch.file) if misfit.index is None else batch.place(misfit.index)
            raise InputError(
                f"{given} is {misfit.found} in {place}, where {wanted(column)} is needed: "
                f"name another column with --column {column.name}=NAME"
            ) from misfit

    def _with_inputs(self, values: list[Any] | pa.Array, batch: Batch) -> list[Any] | pa.Array:
        """The values of a column, each text with the input that belongs to it."""
        names = self._candidates(INPUT_TEXT)
        found = [name for name in (*names, INSTANCES) if batch.has(name)]
        if not found:
            return values
        rows = batch.rows if isinstance(batch.rows, list) else batch.rows.select(found).to_pylist()
        texts = values if isinstance(values, list) else values.to_pylist()
        together = []
        for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
            try:
                together.append(with_input(text, given_in(row, names)) if isinstance(text, str) else text)
            except NotText as fault:
                raise InputError(
                    f"{fault.name} is {describe(fault.value)} in {batch.place(index)}, where text that belongs to the "
                    f"instruction is needed: name another column with --column {INPUT_TEXT.name}=NAME"
                ) from fault
        return together

    def _filled(self, column: Column, values: list[Any], batch: Batch, first: int) -> list[Any]:
        """`values` with made ids, or nulls, in the place of absent ones, where the column allows it."""
        if column.name == "id" and "id" not in self.columns:
            return [f"{self.name}-{i}" if value is _ABSENT else value for i, value in enumerate(values, first)]
        if column.optional:
            return [None if value is _ABSENT else value for value in values]
        index = values.index(_ABSENT)
        place = batch.place(index) if isinstance(batch.rows, list) else str(batch.file)
        raise InputError(
            f"{place} has no column {' or '.join(self._candidates(column))}, only "
            f"{', '.join(batch.names(index)) or 'none'}: name the one to read with --column {column.name}=NAME"
        )

    def _refuse_nulls(self, table: pa.Table) -> None:
        import pyarrow.compute as pc

        for column in self.record.columns:
            if table[column.name].null_count and not (column.optional or column.numeric):
                place = self.input.place(pc.index(pc.is_null(table[column.name]), True).as_py())
                raise InputError(
                    f"{column.name} is null in {place}, where {wanted(column)} is needed: "
                    f"name another column with --column {column.name}=NAME, or leave the row out"
                )


def joined(sources: Sequence[Source], tables: Sequence[pa.Table]) -> pa.Table:
    """The tables of sources of an open record as one, with the columns that any of them has; ids unique.

    Nothing is copied but columns whose types differ. Raises `InputError` where no type holds the values of both.
    """
    if len(tables) == 1:
        return tables[0]
    schema = tables[0].schema
    for source, table in zip(sources, tables, strict=True):
        try:
            schema = pa.unify_schemas([schema, table.schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(f"{source.input.spec} does not go with the inputs before it: {error}") from error
    together = pa.concat_tables(tables, promote_options="permissive")
    starts = np.cumsum([0, *(table.num_rows for table in tables)])

    def place(index: int) -> str:
        number = int(np.searchsorted(starts, index, side="right")) - 1
        return sources[number].input.place(index - int(starts[number]))

    _refuse_repeated_ids(together["id"], place)
    return together


def _refuse_repeated_ids(ids: pa.ChunkedArray, place: Callable[[int], str]) -> None:
    repeated = first_repetition(ids)
    if repeated:
        first, second = map(place, repeated)
        raise InputError(
            f"id {ids[repeated[0]].as_py()!r} stands in {first} and again in {second}: "
            "ids must be unique, so name another column with --column id=NAME"
        )


def _values(batch: Batch, candidates: tuple[str, ...]) -> list[Any] | pa.Array:
    """Each row's value of the first candidate that it has, or `_ABSENT`."""
    if not isinstance(batch.rows, list):
        given = next((name for name in candidates if batch.has(name)), None)
        return batch.rows.column(given) if given else [_ABSENT] * len(batch)
    for name in candidates:
        try:
            return [row[name] for row in batch.rows]
        except KeyError:
            if batch.has(name):
                break
    return [next((row[name] for name in candidates if name in row), _ABSENT) for row in batch.rows]


def first_repetition(ids: pa.ChunkedArray) -> tuple[int, int] | None:
    """Indices of two equal ids. Eight bytes an id are held: equal hashes first, then the few ids that have them."""
    hashes = np.empty(len(ids), np.uint64)
    start = 0
    for batch in pa.table({"id": ids.cast(pa.binary())}).to_batches(max_chunksize=1 << 16):
        hashes[start : start + len(batch)] = [xxhash.xxh3_64_intdigest(value) for value in batch.column(0).to_pylist()]
        start += len(batch)
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    seen: dict[str, int] = {}
    for index in np.flatnonzero(np.isin(hashes, shared)).tolist() if shared.size else ():
        earlier = seen.setdefault(ids[index].as_py(), index)
        if earlier != index:
            return earlier, index
    return None
