"""Datasets as files for trainers and other tools: the rows as they are, or in one of the shapes that trainers read."""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import zstandard

from schemas.dataset import Dataset
from schemas.errors import InputError, UsageError
from schemas.writing import sync

__all__ = ["FileFormat", "Shape", "format_of", "replacing", "shaped", "write"]

FileFormat = Literal["jsonl", "parquet", "csv"]
Shape = Literal["rows", "messages", "sharegpt", "alpaca"]

PROMPTS = ("query", "question", "instruction", "prompt")
RESPONSES = ("response", "answer", "output")
ROWS_AT_ONCE = 16_384
COMPRESSIONS = (".gz", ".zst")
EXTENSIONS: dict[str, FileFormat] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "csv"}


def _turns(role: str, content: str) -> pa.DataType:
    return pa.list_(pa.struct([(role, pa.string()), (content, pa.string())]))


SCHEMAS = {
    "messages": pa.schema([("messages", _turns("role", "content"))]),
    "sharegpt": pa.schema([("conversations", _turns("from", "value"))]),
    "alpaca": pa.schema([("instruction", pa.string()), ("input", pa.string()), ("output", pa.string())]),
}
SHAPES: dict[str, Callable[[str, str, str], dict[str, Any]]] = {
    "messages": lambda prompt, _, response: {
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    },
    "sharegpt": lambda prompt, _, response: {
        "conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": response}]
    },
    "alpaca": lambda prompt, context, response: {"instruction": prompt, "input": context, "output": response},
}


def format_of(path: Path) -> FileFormat:
    """The format that the file's name says, `.gz` and `.zst` aside. Raises `UsageError`."""
    name = Path(path.stem) if path.suffix in COMPRESSIONS else path
    if name.suffix not in EXTENSIONS or (path.suffix in COMPRESSIONS and name.suffix == ".parquet"):
        raise UsageError(
            f"{path} has none of the extensions {', '.join(EXTENSIONS)}: say --format jsonl, parquet or csv"
        )
    return EXTENSIONS[name.suffix]


def shaped(
    dataset: Dataset, shape: Shape, *, prompt: str | None = None, response: str | None = None
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The columns of `shape`, and its rows a few thousand at a time.

    `prompt` and `response` name the columns to take; otherwise the first of the usual names that is there is taken.
    Raises `InputError` where none is, where one holds no text, or where a row has a null in it.
    """
    table = dataset.table
    if shape == "rows":
        plain = table.replace_schema_metadata(None)
        return plain.schema, (plain.slice(i, ROWS_AT_ONCE) for i in range(0, table.num_rows, ROWS_AT_ONCE))
    asked = _text_column(dataset, prompt, PROMPTS, "prompt")
    answered = _text_column(dataset, response, RESPONSES, "response")
    return SCHEMAS[shape], _training_rows(dataset, shape, asked, answered)


def _training_rows(dataset: Dataset, shape: str, prompt: str, response: str) -> Iterator[pa.Table]:
    context = "input" if shape == "alpaca" and "input" in dataset.table.column_names else None
    for start in range(0, dataset.table.num_rows, ROWS_AT_ONCE):
        part = dataset.table.slice(start, ROWS_AT_ONCE)
        prompts, responses = part[prompt].to_pylist(), part[response].to_pylist()
        contexts = part[context].to_pylist() if context else [""] * len(part)
        for name, values in ((prompt, prompts), (response, responses)):
            if None in values:
                raise InputError(f"{name} is null in row {start + values.index(None) + 1} of {dataset.path}")
        rows = [
            SHAPES[shape](str(asked), str(given or ""), str(answered))
            for asked, given, answered in zip(prompts, contexts, responses, strict=True)
        ]
        yield pa.Table.from_pylist(rows, SCHEMAS[shape])


def _text_column(dataset: Dataset, asked: str | None, usual: Sequence[str], role: str) -> str:
    names = dataset.table.column_names
    found = next((name for name in ([asked] if asked else usual) if name in names), None)
    if found is None:
        lacking = f"no column {asked}" if asked else f"none of the columns {', '.join(usual)}"
        raise InputError(f"{dataset.path} has {lacking}, only {', '.join(names)}: name one with --{role}-column")
    kind = dataset.table.schema.field(found).type
    if pa.types.is_nested(kind):
        raise InputError(
            f"{found} in {dataset.path} is {kind}, where text is needed: name another with --{role}-column"
        )
    return found


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file that takes the name `path` when the block ends well. Raises `UsageError` where that cannot be."""
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(f"{path} exists: " + ("it is a directory" if path.is_dir() else "use --force to replace it"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync(path.parent)
    except FileNotFoundError as error:
        raise UsageError(f"{path} cannot be written: there is no directory {path.parent}") from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write(file: IO[bytes], name: str, form: FileFormat, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    """Write all rows to `file`, compressed if `name` says so; the number of rows."""
    with _compressed(file, Path(name).suffix if form != "parquet" else "") as sink:
        return {"jsonl": _write_jsonl, "parquet": _write_parquet, "csv": _write_csv}[form](sink, schema, tables)


def _compressed(file: IO[bytes], suffix: str) -> AbstractContextManager[Any]:
    if suffix == ".gz":
        # Neither a time nor a name: the same rows give the same bytes.
        return gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0)
    if suffix == ".zst":
        return zstandard.ZstdCompressor().stream_writer(file, closefd=False)
    return nullcontext(file)


def _write_jsonl(file: Any, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:  # noqa: ARG001
    rows = 0
    for table in tables:
        file.write(b"".join(_json(row) + b"\n" for row in table.to_pylist()))
        rows += table.num_rows
    return rows


def _write_parquet(file: Any, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    from pyarrow import parquet

    rows = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _write_csv(file: Any, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    """Lists and objects go into their cells as JSON."""
    from pyarrow import csv

    flat = pa.schema([(field.name, pa.string() if pa.types.is_nested(field.type) else field.type) for field in schema])
    rows = 0
    with csv.CSVWriter(file, flat) as writer:
        for table in tables:
            columns = [
                pa.array(
                    [value if value is None else _json(value).decode() for value in column.to_pylist()], pa.string()
                )
                if pa.types.is_nested(column.type)
                else column
                for column in table.columns
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=flat))
            rows += table.num_rows
    return rows


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str)
