"""Reading files of rows in batches of bounded size.

JSON and WET rows are dicts, or columns where JSON has the same types in many lines; other formats are Arrow record
batches, with CSV and TSV cells as text. Each format is a `Format`, declared in its module and listed in `FORMATS`.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.reading.formats.columnar import ARROW, PARQUET
from synth.schemas.reading.formats.delimited import CSV, TSV
from synth.schemas.reading.formats.format import Batch, Format, UnreadableRow
from synth.schemas.reading.formats.json_rows import JSON, JSONL, describe
from synth.schemas.reading.formats.streams import COMPRESSED, input_errors
from synth.schemas.reading.formats.wet import WET
from synth.schemas.stores.copies import present
from synth.schemas.stores.places import origin

__all__ = [
    "Batch",
    "Format",
    "UnreadableRow",
    "describe",
    "file_format",
    "read",
    "read_from",
    "row_count",
    "schema_of",
    "stem",
]

FORMATS = (JSONL, JSON, CSV, TSV, PARQUET, ARROW, WET)


def read_from() -> str:
    """The suffixes of the files that can be read, in words."""
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    return f"{', '.join(suffixes)} (text also with {' or '.join(COMPRESSED)})"


def file_format(path: Path) -> Format | None:
    """The format by the suffix of the file, or None if it is unknown."""
    suffix = Path(_decompressed(path)).suffix.lower()
    form = next((form for form in FORMATS if suffix in form.suffixes), None)
    return None if form and not form.text and path.suffix.lower() in COMPRESSED else form


def stem(path: Path) -> str:
    """The file's name without the suffixes of its format: `gsm8k-train` for `gsm8k-train.jsonl.gz`."""
    return Path(_decompressed(path)).stem


def read(path: Path, *, lenient: bool = False, plain: bool = False) -> Iterator[Batch]:
    """All rows of one file. Raises `InputError` naming the file, and the line if the format has lines.

    An unreadable row raises, too, unless `lenient`: then it is in `Batch.bad`. A file is `plain` if all batches of an
    earlier reading were; it is not checked again.
    """
    form = file_format(path)
    if form is None:
        raise InputError(f"{origin(path)} has none of the extensions that can be read: {read_from()}")
    reader = form.read_plain if plain and form.read_plain else form.read
    present([path])
    with input_errors(path, form.name):
        for batch in reader(path):
            if batch.bad and not lenient:
                raise InputError(batch.bad[0].detail)
            if batch.size:
                yield batch


def schema_of(path: Path) -> pa.Schema | None:
    """The columns that the file declares; None if each row has its own."""
    form = file_format(path)
    if form is None or form.schema is None:
        return None
    present([path])
    with input_errors(path, form.name):
        return form.schema(path)


def row_count(path: Path) -> int | None:
    """The number of rows, bad ones included; None if it is not known without reading them."""
    form = file_format(path)
    if form is None or form.count is None or path.suffix.lower() in COMPRESSED:
        return None
    present([path])
    with input_errors(path, form.name):
        return form.count(path)


def _decompressed(path: Path) -> str:
    return path.stem if path.suffix.lower() in COMPRESSED else path.name
