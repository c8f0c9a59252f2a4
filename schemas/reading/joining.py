"""Several inputs read as one table: each column has one type in all of them, and ids are unique."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.reading.bad_rows import Reading, joined_readings
from synth.schemas.reading.inference import becomes_text, common_column, unified, warn_read_as_text
from synth.schemas.reading.sources import Source
from synth.schemas.record import Column

__all__ = ["concatenated", "taken_apart", "unify_columns"]


def unify_columns(sources: Sequence[Source]) -> None:
    """Give each column one type in all sources of an open record. Call it before reading any of them."""
    if len(sources) < 2 or not sources[0].record_is_open:
        return
    columns: dict[str, Column] = {}
    for number, source in enumerate(sources):
        for column in source.record.columns:
            known = columns.setdefault(column.name, column)
            both = common_column(known, column)
            before = next(s for s in sources if column.name in s.record.names).input.spec
            why = f"{column.name} is {known.type} in {before} and {column.type} in {source.input.spec}"
            if both is None:
                raise InputError(f"{source.input.spec} does not fit the inputs before it: {why}")
            if number and becomes_text(known, both):
                warn_read_as_text(both, why)
            columns[column.name] = both
    for source in sources:
        source.record = replace(source.record, columns=tuple(columns[name] for name in source.record.names))


def concatenated(sources: Sequence[Source], readings: Sequence[Reading], folder: Path) -> Reading:
    """The readings of several sources of an open record as one, with all their columns and unique ids.

    Copies only columns whose types differ; `folder` is for temporary files. Raises `InputError` for a column without a
    common type.
    """
    if len(readings) == 1:
        return readings[0]
    tables = [reading.table for reading in readings]
    unified(((source.input.spec, table.schema) for source, table in zip(sources, tables, strict=True)), "inputs")
    starts = np.cumsum([0, *(table.num_rows for table in tables)])

    def places(indices: Sequence[int]) -> list[str]:
        found = []
        for source, reading, start, end in zip(sources, readings, starts, starts[1:], strict=False):
            own = [index - int(start) for index in indices if start <= index < end]
            found += source.input.places(reading.in_input(own))
        return found

    whole = joined_readings(readings, pa.concat_tables(tables, promote_options="permissive"))
    return whole.without_duplicates(places, folder, rejects=any(source.rejects for source in sources))


def taken_apart(whole: Reading, table: pa.Table, rows: Sequence[int]) -> list[pa.Table]:
    """Split `table`, the usable rows of all inputs in order, by input; `rows` are the numbers of all their rows."""
    starts = np.cumsum([0, *rows])
    starts -= np.searchsorted(whole.bad["number"].to_numpy(), starts)
    return [table.slice(start, end - start) for start, end in pairwise(starts.tolist())]
