"""The files that rows can be read from: JSONL, JSON, CSV, TSV, Parquet, Arrow and WET, in batches of bounded size.

Rows of JSON and WET come as dicts; the other formats come as Arrow record batches, with the cells of CSV and TSV files
as text.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.reading.formats.batch import Batch, UnreadableRow
from synth.schemas.reading.formats.columnar import arrow_schema, parquet_schema, read_arrow, read_parquet
from synth.schemas.reading.formats.delimited import header, read_delimited
from synth.schemas.reading.formats.json_rows import describe, holds_lines, read_json, read_json_lines
from synth.schemas.reading.formats.streams import COMPRESSED, readable
from synth.schemas.reading.formats.wet import read_wet

__all__ = ["READABLE", "Batch", "UnreadableRow", "describe", "file_format", "read", "schema_of", "stem"]

SUFFIXES = {
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".json": "JSON",
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    # The text that crawlers have taken out of pages, as in Common Crawl's `*.warc.wet.gz`.
    ".wet": "WET",
}
TEXT = ("JSONL", "JSON", "CSV", "TSV", "WET")
READABLE = f"{', '.join(SUFFIXES)} (text also with {' or '.join(COMPRESSED)})"

_READERS = {
    "JSON": read_json,
    "CSV": lambda path: read_delimited(path, "CSV"),
    "TSV": lambda path: read_delimited(path, "TSV"),
    "Parquet": read_parquet,
    "Arrow": read_arrow,
    "WET": read_wet,
}


def file_format(path: Path) -> str | None:
    """Format by the file's name, or None for a name that says nothing known."""
    name = path.stem if path.suffix.lower() in COMPRESSED else path.name
    form = SUFFIXES.get(Path(name).suffix.lower())
    return None if name != path.name and form not in TEXT else form


def stem(path: Path) -> str:
    """The file's name without the suffixes that tell its format: `gsm8k-train` for `gsm8k-train.jsonl.gz`."""
    name = path.stem if path.suffix.lower() in COMPRESSED else path.name
    return Path(name).stem


def read(path: Path, *, lenient: bool = False, plain: bool = False) -> Iterator[Batch]:
    """All rows of one file. Raises `InputError` naming the file, and the line where there are lines.

    A row that cannot be read raises, too, unless `lenient`: then it stands in `Batch.bad`. A file is `plain` where all
    batches of an earlier reading were, and need not be checked again.
    """
    form = file_format(path)
    if form is None:
        raise InputError(f"{path} has none of the extensions that can be read: {READABLE}")
    with readable(path, form):
        if form == "JSON" and holds_lines(path):
            form = "JSONL"
        for batch in read_json_lines(path, plain=plain) if form == "JSONL" else _READERS[form](path):
            if batch.bad and not lenient:
                raise InputError(batch.bad[0].detail)
            if batch.size:
                yield batch


def schema_of(path: Path) -> pa.Schema | None:
    """The columns that the file declares; None where each row has its own."""
    form = file_format(path)
    with readable(path, str(form)):
        if form == "Parquet":
            return parquet_schema(path)
        if form == "Arrow":
            return arrow_schema(path)
        if form in ("CSV", "TSV"):
            return pa.schema([(name, pa.string()) for name in header(path, form)])
    return None
