"""The files that rows can be read from: JSONL, JSON, CSV, Parquet, Arrow and WET, in batches of bounded size.

Rows of JSON and WET come as dicts, since only a record type or a look at all of them can say what their columns hold;
the other formats come as Arrow record batches, with the cells of a CSV file as text.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from schemas.errors import InputError

__all__ = ["READABLE", "Batch", "describe", "file_format", "read", "schema_of", "stem"]

SUFFIXES = {
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".json": "JSON",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    # The text that crawlers have taken out of pages, as in Common Crawl's `*.warc.wet.gz`.
    ".wet": "WET",
}
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
TEXT = ("JSONL", "JSON", "CSV", "WET")
READABLE = f"{', '.join(SUFFIXES)} (text also with {' or '.join(COMPRESSED)})"
BYTES_PER_BATCH = 2 << 20
ROWS_PER_BATCH = 4096
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one file; `first` is the index of the first of them in it."""

    file: Path
    format: str
    first: int
    rows: list[dict[str, Any]] | pa.RecordBatch

    def __len__(self) -> int:
        return len(self.rows)

    def names(self, index: int) -> list[str]:
        """The columns of the row at `index`; JSON rows each have their own."""
        return list(self.rows[index]) if isinstance(self.rows, list) else self.rows.schema.names

    def has(self, name: str) -> bool:
        """Whether any row has the column."""
        if isinstance(self.rows, list):
            return any(name in row for row in self.rows)
        return name in self.rows.schema.names

    def place(self, index: int) -> str:
        """Where the row at `index` of this batch is, for a reader of an error; counted from 1."""
        index += self.first
        if self.format != "JSONL":
            return f"row {index + 1} of {self.file}"
        with _opened(self.file) as lines:
            return f"{self.file}:{next(islice(_filled(lines), index, None))}"


def file_format(path: Path) -> str | None:
    """Format by the file's name, or None for a name that says nothing known."""
    form = SUFFIXES.get(_suffix(path).lower())
    return None if path.suffix.lower() in COMPRESSED and form not in TEXT else form


def stem(path: Path) -> str:
    """The file's name without the suffixes that tell its format: `gsm8k-train` for `gsm8k-train.jsonl.gz`."""
    name = path.stem if path.suffix.lower() in COMPRESSED else path.name
    return Path(name).stem


def read(path: Path) -> Iterator[Batch]:
    """All rows of one file. Raises `InputError` naming the file, and the line where there are lines."""
    form = file_format(path)
    if form is None:
        raise InputError(f"{path} has none of the extensions that can be read: {READABLE}")
    if form == "JSON" and _holds_lines(path):
        form = "JSONL"
    first = 0
    with _readable(path, form):
        for rows in _READERS[form](path):
            if len(rows):
                yield Batch(path, form, first, rows)
            first += len(rows)


def schema_of(path: Path) -> pa.Schema | None:
    """The columns that the file declares; None where each row has its own."""
    form = file_format(path)
    with _readable(path, str(form)):
        if form == "Parquet":
            return _parquet_file(path).schema_arrow
        if form == "Arrow":
            return _arrow_reader(path).schema
        if form == "CSV":
            return pa.schema([(name, pa.string()) for name in _csv_header(path)])
    return None


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix.lower() in COMPRESSED else path.suffix


@contextmanager
def _readable(path: Path, form: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read as {form}: {error.strerror or _first_line(error)}") from error
    except (pa.ArrowException, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as {form}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _opened(path: Path) -> BufferedReader:
    return BufferedReader(_stream(path))


def _stream(path: Path) -> Any:
    """The file's bytes, decompressed where its name says that they are compressed. A cut-off stream is an `OSError`."""
    return pa.input_stream(str(path), compression=COMPRESSED.get(path.suffix.lower()))


def _filled(lines: BufferedReader) -> Iterator[int]:
    """Numbers of the lines that are not blank, from 1."""
    return (number for number, line in enumerate(lines, 1) if line.removeprefix(BYTE_ORDER_MARK).strip())


def _json_lines(path: Path) -> Iterator[list[dict[str, Any]]]:
    loads = orjson.loads
    number = 0
    with _opened(path) as file:
        while lines := file.readlines(BYTES_PER_BATCH):
            if number == 0:
                lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
            try:
                rows = [loads(line) for line in lines]
            except orjson.JSONDecodeError:
                rows = _line_by_line(path, lines, number)
            if not set(map(type, rows)) <= {dict}:
                _refuse_other_than_objects(path, lines, number)
            yield rows
            number += len(lines)


def _line_by_line(path: Path, lines: list[bytes], before: int) -> list[Any]:
    """What `_json_lines` does at once, for a block that holds a blank line or an error."""
    rows = []
    for number, line in enumerate(map(bytes.rstrip, lines), before + 1):
        if line:
            try:
                rows.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise InputError(f"{path}:{number} is not {_json_fault(line, error)}") from error
    return rows


def _json_fault(text: bytes, error: json.JSONDecodeError) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        return f"UTF-8 text: byte 0x{text[undecodable.start]:02x} at position {undecodable.start + 1}"
    return f"JSON: {error.msg} at column {error.colno}"


def _refuse_other_than_objects(path: Path, lines: list[bytes], before: int) -> None:
    for number, line in enumerate(lines, before + 1):
        if line.strip() and not isinstance(value := orjson.loads(line), dict):
            raise InputError(f"{path}:{number} is {describe(value)}, where each line must be one JSON object")


def _holds_lines(path: Path) -> bool:
    """Whether a `.json` file is JSONL by another name: a first line that is an object by itself, and more after it."""
    with _readable(path, "JSON"), _opened(path) as file:
        if file.peek(4).removeprefix(BYTE_ORDER_MARK)[:1] != b"{":
            return False
        try:
            orjson.loads(file.readline().removeprefix(BYTE_ORDER_MARK))
        except orjson.JSONDecodeError:
            return False
        return any(line.strip() for line in file)


def _json_document(path: Path) -> Iterator[list[dict[str, Any]]]:
    with _opened(path) as file:
        text = file.read().removeprefix(BYTE_ORDER_MARK)
    if not text.strip():
        return
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        line = f" of line {error.lineno}" if error.lineno > 1 else ""
        raise InputError(f"{path} is not {_json_fault(text, error)}{line}") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        if len(lists) != 1:
            raise InputError(f"{path} is an object with {len(lists)} lists, where one must hold the rows")
        (value,) = lists
    if not isinstance(value, list):
        raise InputError(f"{path} is {describe(value)}, where a list of objects must be")
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            raise InputError(f"row {index + 1} of {path} is {describe(row)}, where each row must be an object")
    for start in range(0, len(value), ROWS_PER_BATCH):
        yield value[start : start + ROWS_PER_BATCH]


def describe(value: Any) -> str:
    """What a JSON value is, in words."""
    words = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return words.get(type(value), "a number")


def _wet(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Rows of id, url and text. Bytes that are no UTF-8 become U+FFFD."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    rows: list[dict[str, Any]] = []
    size = 0
    # Of what is compressed, only this says where it has been cut off.
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for record in ArchiveIterator(file, WarcRecordType.conversion, parse_http=False):
            text = record.reader.read()
            if record.headers.get("Content-Length") != str(len(text)):
                raise EOFError(f"it is cut off in the record {record.record_id}")
            url = record.headers.get("WARC-Target-URI")
            rows.append({"id": record.record_id, "url": url, "text": text.decode(errors="replace")})
            size += len(text)
            if size >= BYTES_PER_BATCH:
                yield rows
                rows, size = [], 0
    yield rows


def _csv(path: Path) -> Iterator[pa.RecordBatch]:
    from pyarrow import csv

    try:
        convert = csv.ConvertOptions(column_types=dict.fromkeys(_csv_header(path), pa.string()))
        with _csv_reader(path, convert) as reader:
            for batch in reader:
                yield from _pieces(batch)
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return
        if "UTF8" in str(error):
            _refuse_undecodable(path)
        raise


def _csv_header(path: Path) -> list[str]:
    from pyarrow import csv

    with _csv_reader(path, csv.ConvertOptions()) as reader:
        names: list[str] = reader.schema.names
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path} has two columns named {name}")
    return names


def _csv_reader(path: Path, convert: Any) -> Any:
    from pyarrow import csv

    return csv.open_csv(
        _stream(path),
        read_options=csv.ReadOptions(block_size=16 << 20, use_threads=False),
        parse_options=csv.ParseOptions(
            delimiter="\t" if _suffix(path).lower() == ".tsv" else ",", newlines_in_values=True
        ),
        convert_options=convert,
    )


def _refuse_undecodable(path: Path) -> None:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = line[error.start]
                raise InputError(
                    f"{path}:{number} is not UTF-8 text: byte 0x{byte:02x} at position {error.start + 1}"
                ) from error


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with _parquet_file(path) as file:
        yield from file.iter_batches(batch_size=ROWS_PER_BATCH)


def _parquet_file(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(str(path), memory_map=True)


def _arrow(path: Path) -> Iterator[pa.RecordBatch]:
    reader = _arrow_reader(path)
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for number in range(reader.num_record_batches):
            yield from _pieces(reader.get_batch(number))
    else:
        for batch in reader:
            yield from _pieces(batch)


def _arrow_reader(path: Path) -> Any:
    source = pa.memory_map(str(path))
    # The file format opens with these bytes, the stream format with the length of its first message.
    whole_file = source.read(6) == b"ARROW1"
    source.seek(0)
    return pa.ipc.open_file(source) if whole_file else pa.ipc.open_stream(source)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, ROWS_PER_BATCH):
        yield batch.slice(start, ROWS_PER_BATCH)


_READERS = {
    "JSONL": _json_lines,
    "JSON": _json_document,
    "CSV": _csv,
    "Parquet": _parquet,
    "Arrow": _arrow,
    "WET": _wet,
}
