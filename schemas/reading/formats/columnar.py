"""Parquet and Arrow files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.schemas.reading.formats.format import ROWS_PER_BATCH, Batch, Format, require_unique

__all__ = ["ARROW", "PARQUET", "pieces"]


def _read_parquet(path: Path) -> Iterator[Batch]:
    with _parquet_file(path) as file:
        yield from _numbered(path, file.iter_batches(batch_size=ROWS_PER_BATCH))


def _parquet_schema(path: Path) -> pa.Schema:
    with _parquet_file(path) as file:
        require_unique(path, file.schema_arrow.names)
        return file.schema_arrow


def _read_arrow(path: Path) -> Iterator[Batch]:
    yield from _numbered(path, _arrow_batches(path))


def _arrow_schema(path: Path) -> pa.Schema:
    schema = _arrow_reader(path).schema
    require_unique(path, schema.names)
    return schema


def _numbered(path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[Batch]:
    """The batches of a file, in pieces, each with the index of its first row."""
    first = 0
    for batch in batches:
        require_unique(path, batch.schema.names)
        for piece in pieces(batch):
            yield Batch(path, first, piece)
            first += len(piece)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, ROWS_PER_BATCH):
        yield batch.slice(start, ROWS_PER_BATCH)


def _parquet_file(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(str(path), memory_map=True)


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    reader = _arrow_reader(path)
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
    else:
        yield from reader


def _arrow_reader(path: Path) -> Any:
    source = pa.memory_map(str(path))
    # The file format starts with these bytes, the stream format with the length of its first message.
    whole_file = source.read(6) == b"ARROW1"
    source.seek(0)
    return pa.ipc.open_file(source) if whole_file else pa.ipc.open_stream(source)


def _parquet_rows(path: Path) -> int:
    with _parquet_file(path) as file:
        rows: int = file.metadata.num_rows
        return rows


def _arrow_rows(path: Path) -> int:
    return sum(batch.num_rows for batch in _arrow_batches(path))


PARQUET = Format("Parquet", (".parquet",), _read_parquet, _parquet_schema, text=False, count=_parquet_rows)
ARROW = Format("Arrow", (".arrow", ".feather"), _read_arrow, _arrow_schema, text=False, count=_arrow_rows)
