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
from schemas.writing import sync, write_json

__all__ = ["FileFormat", "Shape", "TrainerList", "format_of", "replacing", "shaped", "write"]

FileFormat = Literal["jsonl", "parquet", "csv"]
Shape = Literal["rows", "messages", "sharegpt", "alpaca", "llama-factory"]

# One of these says where a dataset of LLaMA-Factory comes from.
LISTED_AS = {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
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
# How LLaMA-Factory is to read them.
LLAMA_FACTORY: dict[str, dict[str, Any]] = {
    "messages": {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
    "alpaca": {"columns": {"prompt": "instruction", "query": "input", "response": "output"}},
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
    Rows that are chats already, with a column `messages`, stay so as `messages`. `llama-factory` are such rows, or else
    those of `alpaca`. Raises `InputError` where none is, where one holds no text, or where a row has a null in it.
    """
    table = dataset.table
    if shape == "rows":
        plain = table.replace_schema_metadata(None)
        return plain.schema, (plain.slice(i, ROWS_AT_ONCE) for i in range(0, table.num_rows, ROWS_AT_ONCE))
    if shape in ("messages", "llama-factory") and not (prompt or response) and _has_chats(table.schema):
        chats = table.select(["messages"]).replace_schema_metadata(None)
        return chats.schema, (chats.slice(i, ROWS_AT_ONCE) for i in range(0, chats.num_rows, ROWS_AT_ONCE))
    if shape == "llama-factory":
        shape = "alpaca"
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


def _has_chats(schema: pa.Schema) -> bool:
    kind = schema.field("messages").type if "messages" in schema.names else pa.null()
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return False
    return {"role", "content"} <= {kind.value_type.field(index).name for index in range(kind.value_type.num_fields)}


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


class TrainerList:
    """The `dataset_info.json` beside a file for LLaMA-Factory, which names the datasets that lie there.

    Raises `UsageError` where it is something else, as the one of a dataset directory is, or where LLaMA-Factory cannot
    read the file.
    """

    def __init__(self, file: Path) -> None:
        if file.suffix not in (".jsonl", ".parquet"):
            raise UsageError(f"{file}: LLaMA-Factory knows a file by its name, which must end in .jsonl or .parquet")
        self._file = file
        self._path = file.with_name("dataset_info.json")
        self._listed: dict[str, Any] = {}
        if self._path.exists():
            try:
                self._listed = orjson.loads(self._path.read_bytes())
                is_list = all(isinstance(entry, dict) and LISTED_AS & entry.keys() for entry in self._listed.values())
            except (ValueError, AttributeError):
                is_list = False
            if not is_list:
                raise UsageError(f"{self._path} is no list of datasets for LLaMA-Factory: write to another directory")

    def add(self, schema: pa.Schema) -> str:
        """List the file, by its name without the ending, in the place of what had that name; the name."""
        shape = "messages" if "messages" in schema.names else "alpaca"
        self._listed[self._file.stem] = {"file_name": self._file.name, **LLAMA_FACTORY[shape]}
        write_json(self._path, self._listed)
        return self._file.stem


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
