"""DuckDB's SQL over Arrow tables.

DuckDB only selects rows, which are then taken from the Arrow table itself, so no value is converted. A query can access
the table `rows` and nothing else: no file, no network.
"""

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import pyarrow as pa

from synth.schemas.errors import UsageError
from synth.schemas.phrases import first_line
from synth.schemas.storable import inner_types

if TYPE_CHECKING:
    import duckdb

__all__ = ["matching", "query"]


def matching(table: pa.Table, condition: str, flag: str = "--where", *, scratch: Path | None = None) -> pa.ChunkedArray:
    """Whether each row meets an SQL condition over the columns; null if it evaluates to NULL.

    Raises `UsageError`, naming the `flag`, for a condition that is not valid for these columns or these values.
    """
    if not condition.strip():
        raise UsageError(f"{flag}: the condition is empty")
    # On its own line, so that a comment at its end comments out nothing else.
    found = query(
        f"SELECT CAST((\n{condition}\n) AS BOOLEAN) AS met FROM rows", {"rows": table}, flag, condition, scratch
    )
    if found.num_rows != table.num_rows:
        raise UsageError(f"{flag} {condition}: not a condition on single rows")
    return found["met"]


def query(sql: str, tables: Mapping[str, pa.Table], flag: str, typed: str, scratch: Path | None = None) -> pa.Table:
    """The result of a query over named tables, with their rows in order. `typed` is the part that the user wrote.

    Data that does not fit in memory is spilled to the folder `scratch`.
    """
    import duckdb

    with duckdb.connect() as connection:
        if scratch:
            connection.execute("SET temp_directory = ?", [str(scratch / "duckdb")])
        connection.execute("SET enable_external_access = false")
        for name, table in tables.items():
            connection.register(name, table.select([field.name for field in table.schema if _is_known(field.type)]))
        try:
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            columns = shorten(", ".join(next(iter(tables.values())).column_names), 300)
            advice = f"the columns are {columns}; strings are in single quotes"
            raise UsageError(f"{flag} {typed}: {_reason(error)} ({advice})") from error


def _is_known(kind: pa.DataType) -> bool:
    """Whether DuckDB reads this type; a query cannot name columns of other types."""
    return not any(
        pa.types.is_float16(inner) or pa.types.is_decimal256(inner) or isinstance(inner, pa.BaseExtensionType)
        for inner in inner_types(kind)
    )


def _reason(error: "duckdb.Error") -> str:
    """The first line of a message of DuckDB, without the type of the error."""
    first = first_line(error)
    return first.partition(" Error: ")[2] or first
