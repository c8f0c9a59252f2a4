"""Exporting rows to JSONL, CSV and Parquet files for trainers and other tools.

Every value reads back unchanged, or is refused with the name of its column.
"""

import gzip
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
import zstandard

from synth.schemas.atomic import atomic, sync
from synth.schemas.errors import InputError, UsageError
from synth.schemas.plain import json_texts, plain_values, text_of_plain
from synth.schemas.storable import storable, stored
from synth.schemas.threads import THREADS

__all__ = ["FORMATS", "WrittenFormat", "format_of", "replacing", "write"]

COMPRESSIONS = (".gz", ".zst")
# Advice for a value that a format cannot represent.
LEAVE_OUT = "leave the column out by naming the others with --columns"
INSTEAD = f"write Parquet (--format parquet), or {LEAVE_OUT}"

# Describes where a row is, for messages.
Place = Callable[[int], str]


@dataclass(frozen=True)
class WrittenFormat:
    """A format of exported files. Only `text` formats can be compressed.

    `write` writes tables of a schema and returns the number of rows. `class_names` is whether files have the names of
    classes, not only their numbers.
    """

    suffixes: tuple[str, ...]
    write: Callable[[Any, pa.Schema, Iterator[pa.Table], Place], int]
    text: bool = True
    class_names: bool = False


def format_of(path: Path) -> str:
    """The name of the format by the suffix of the file, `.gz` and `.zst` aside. Raises `UsageError` if unknown."""
    is_compressed = path.suffix in COMPRESSIONS
    suffix = Path(path.stem).suffix if is_compressed else path.suffix
    for name, form in FORMATS.items():
        if suffix in form.suffixes and (form.text or not is_compressed):
            return name
    suffixes = [suffix for form in FORMATS.values() for suffix in form.suffixes]
    *names, last = FORMATS
    raise UsageError(
        f"{path} has none of the extensions {', '.join(suffixes)}: use --format {', '.join(names)} or {last}"
    )


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file that is renamed to `path` when the block succeeds. Raises `UsageError` if `path` cannot be written."""
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(f"{path} exists: " + ("it is a directory" if path.is_dir() else "use --force to replace it"))
    try:
        with atomic(path, durable=True) as temporary, temporary.open("wb") as file:
            yield file
        sync(path.parent)
    except FileNotFoundError as error:
        raise UsageError(f"{path} cannot be written: there is no directory {path.parent}") from error


def write(file: IO[bytes], name: str, form: str, schema: pa.Schema, tables: Iterator[pa.Table], origin: str) -> int:
    """Write all rows to `file` in the format `form`, compressed by the suffix of `name`. Returns the number of rows.

    Raises `InputError` for a value that the format cannot represent, naming its column and its row of `origin`.
    """
    written = FORMATS[form]
    with _compressed(file, Path(name).suffix if written.text else "") as sink:
        return written.write(sink, schema, tables, lambda row: f"row {row + 1} of {origin}")


def _compressed(file: IO[bytes], suffix: str) -> AbstractContextManager[Any]:
    if suffix == ".gz":
        # Without time and name, so the same rows produce the same bytes.
        return gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0)
    if suffix == ".zst":
        return zstandard.ZstdCompressor().stream_writer(file, closefd=False)
    return nullcontext(file)


def _write_jsonl(file: Any, schema: pa.Schema, tables: Iterator[pa.Table], place: Place) -> int:
    """Tables become text on all cores, and are written in order."""
    ahead: deque[Future[pa.Buffer]] = deque()
    rows = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for table in tables:
            ahead.append(pool.submit(_lines, table, schema.names, place, rows))
            rows += table.num_rows
            if len(ahead) > THREADS:
                file.write(ahead.popleft().result())
        for lines in ahead:
            file.write(lines.result())
    return rows


def _lines(table: pa.Table, names: Sequence[str], place: Place, first: int) -> pa.Buffer:
    """The rows of a table, which `first` others precede, each as JSON on a line of its own."""
    import pyarrow.compute as pc

    if not names:
        return pa.py_buffer(b"{}\n" * table.num_rows)
    parts = []
    for mark, name in zip("{" + "," * len(names), names, strict=False):
        texts = json_texts(table, name, lambda row: place(first + row), advice=INSTEAD)
        parts += [pa.scalar(f"{mark}{orjson.dumps(name).decode()}:", pa.large_string()), texts]
    end, between = (pa.scalar(text, pa.large_string()) for text in ("}\n", ""))
    lines = pc.binary_join_element_wise(*parts, end, between)
    _, edges, text = lines.buffers()
    return text.slice(0, np.frombuffer(edges, np.int64)[len(lines)].item()) if len(lines) else pa.py_buffer(b"")


def _write_parquet(file: Any, schema: pa.Schema, tables: Iterator[pa.Table], place: Place) -> int:  # noqa: ARG001
    from pyarrow import parquet

    for field in schema:
        try:
            parquet.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
        except pa.ArrowException as error:
            raise InputError(f"{field.name} is {field.type}, which Parquet cannot store: {LEAVE_OUT}") from error
    # In stored types, because Arrow cannot write views inside lists.
    plain = pa.schema([field.with_type(storable(field.type) or field.type) for field in schema], schema.metadata)
    rows = 0
    with parquet.ParquetWriter(file, plain) as writer:
        for table in tables:
            columns = [stored(column.combine_chunks()) for column in table.columns]
            writer.write_table(pa.Table.from_arrays(columns, schema=plain))
            rows += table.num_rows
    return rows


def _write_csv(file: Any, schema: pa.Schema, tables: Iterator[pa.Table], place: Place) -> int:
    """Lists and objects are cells of JSON. A null is an empty cell, the empty text a quoted one."""
    from pyarrow import csv

    flat = pa.schema([(field.name, _cell_type(field.type)) for field in schema])
    rows = 0
    with csv.CSVWriter(file, flat) as writer:
        for table in tables:
            if len(schema) == 1 and (empty := table.column(0).is_null().to_pylist()).count(True):
                raise InputError(
                    f"{schema.names[0]} is null in {place(rows + empty.index(True))}, which a CSV file of one column "
                    "cannot represent: write JSONL (--format jsonl)"
                )
            columns = []
            for field in flat:
                values = _values(table, field.name, place, rows, finite=False)
                if pa.types.is_large_string(field.type):
                    values = [None if value is None else text_of_plain(value) for value in values]
                columns.append(pa.array(values, field.type))
            writer.write_table(pa.Table.from_arrays(columns, schema=flat))
            rows += table.num_rows
    return rows


def _values(table: pa.Table, name: str, place: Place, first: int, *, finite: bool = True) -> list[Any]:
    return plain_values(table, name, lambda row: place(first + row), finite=finite, advice=INSTEAD)


def _cell_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _cell_type(kind.value_type)
    if pa.types.is_floating(kind):
        return pa.float64()
    return kind if pa.types.is_boolean(kind) or pa.types.is_integer(kind) else pa.large_string()


FORMATS = {
    "jsonl": WrittenFormat((".jsonl", ".ndjson"), _write_jsonl),
    "parquet": WrittenFormat((".parquet",), _write_parquet, text=False, class_names=True),
    "csv": WrittenFormat((".csv",), _write_csv),
}
