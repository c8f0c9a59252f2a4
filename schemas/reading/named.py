"""The columns that a user names: those to read another column as, and the one for the name of a row's file."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from synth.schemas.errors import UsageError
from synth.schemas.record import Column, Record
from synth.schemas.records.shared import INPUT_TEXT

__all__ = ["named_columns", "with_file_column"]


def named_columns(record: Record, named: Mapping[str, str]) -> dict[str, str]:
    """The input column by record column; `named` may have names or aliases of these. Raises `UsageError`."""
    columns = record.columns
    if any(column.takes_input for column in columns) and INPUT_TEXT.name not in record.names:
        columns = (*columns, INPUT_TEXT)
    found: dict[str, str] = {}
    for name, given in named.items():
        flag = f"--column {name}={given}"
        matches = [c.name for c in columns if c.name == name] or [c.name for c in columns if name in c.aliases]
        if len(matches) > 1:
            raise UsageError(f"{flag}: {name} may mean {' or '.join(matches)}: name one of them")
        if not matches and not record.open:
            read = ", ".join(c.name + (f" ({', '.join(c.aliases)})" if c.aliases else "") for c in columns)
            raise UsageError(f"{flag}: no column {name} is read, only {read}")
        column = matches[0] if matches else name
        if column in found:
            raise UsageError(f"{flag}: {column} is already read from {found[column]}")
        if other := next((other for other in found if found[other] == given), None):
            raise UsageError(f"{flag}: {given} is already read as {other}")
        found[column] = given
    return found


def with_file_column(record: Record, name: str) -> Record:
    """The record with a text column of this name. Raises `UsageError` if there can be none."""
    column = Column(name, pa.string(), "The name of the file that the row was read from.")
    if record.open:
        return replace(record, columns=(*record.columns, column))
    known = next((column for column in record.columns if column.name == name), None)
    if known is None or not pa.types.is_string(known.type) or name == "id":
        raise UsageError(f"--file-column {name}: no text column of this name is read, only {', '.join(record.names)}")
    return record
