"""CSV (RFC 4180), and TSV, in which quotation marks have no special meaning. Cells are text.

pyarrow parses text in which every quotation mark opens a field, closes one, or is doubled inside a quoted field. It
reports neither other uses nor the line of a row with too many fields, so text with such faults is parsed row by row
with Python's csv module.
"""

import csv
import io
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.phrases import plural
from synth.schemas.reading.formats.columnar import pieces
from synth.schemas.reading.formats.format import ROWS_PER_BATCH, Batch, Format, UnreadableRow, require_unique
from synth.schemas.reading.formats.streams import opened_text, undecodable
from synth.schemas.stores.places import origin

__all__ = ["CSV", "TSV"]

BLOCK = 8 << 20
# A longer row is treated as several rows swallowed by an unclosed quotation mark.
LONGEST_ROW = 64 << 20
_QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"(?=[,\r\n]|\Z)')
_BARE = re.compile(r"[^,\r\n]*")


class _CSV(csv.excel):
    strict = True


class _TSV(csv.excel):
    delimiter = "\t"
    quoting = csv.QUOTE_NONE
    strict = True


Dialect = type[csv.Dialect]


@dataclass(frozen=True)
class _Record:
    """A record: the number of its first line, its lines, and its fields (none for a blank line) or its fault."""

    line: int
    lines: Sequence[str]
    fields: Sequence[str]
    fault: str | None = None

    @property
    def raw(self) -> bytes:
        return "".join(self.lines).encode(errors="surrogateescape")

    @property
    def is_blank(self) -> bool:
        return not self.fields and not self.fault


def _schema(path: Path, dialect: Dialect) -> pa.Schema:
    """The columns of the header, none for an empty file. Raises `InputError` for duplicate names."""
    with opened_text(path) as file:
        names, _, _ = _header(path, file, dialect)
        return pa.schema([(name, pa.string()) for name in names])


def _read(path: Path, dialect: Dialect) -> Iterator[Batch]:
    """Rows of text. A row that is not UTF-8, or has more or fewer fields than the header, is a bad row."""
    with opened_text(path) as file:
        names, text, line = _header(path, file, dialect)
        first = 0
        last = False
        while not last:
            part = file.read(BLOCK)
            last = not part
            text += part
            end = _regular_end(text, dialect, last=last)
            if not end and len(text) > LONGEST_ROW:
                end = text.rfind(b"\n") + 1
                if not end:
                    raise InputError(f"{origin(path)}:{line} is longer than {LONGEST_ROW >> 20} MiB")
                batches = None
            else:
                batches = None if end is None else _at_once(path, text[:end], names, dialect, first)
            if batches is None:
                records = list(_records(text[:end], line, dialect, last=last or end is not None))
                batches = _row_by_row(path, records, names, first)
                end = sum(len(record.raw) for record in records)
            line += _lines(text[:end])
            text = text[end:]
            for batch in batches:
                yield batch
                first += batch.size


def _header(path: Path, file: BufferedReader, dialect: Dialect) -> tuple[list[str], bytes, int]:
    """The names of the columns, the text read beyond the header, and the number of its first line."""
    text = b""
    while part := file.read(BLOCK):
        text += part
        size, line = 0, 1
        for record in _records(text, 1, dialect, last=len(part) < BLOCK or len(text) > LONGEST_ROW):
            size, line = size + len(record.raw), line + len(record.lines)
            if not record.is_blank:
                return _names(path, record), text[size:], line
    return [], b"", 1


def _names(path: Path, record: _Record) -> list[str]:
    if record.fault:
        raise InputError(f"{origin(path)}:{record.line} {record.fault}")
    require_unique(path, record.fields)
    return list(record.fields)


def _lines(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def _regular_end(text: bytes, dialect: Dialect, *, last: bool) -> int | None:
    """The end of the last complete record of a text that pyarrow parses correctly; None for other text."""
    if dialect is _TSV or b'"' not in text:
        return len(text) if last else text.rfind(b"\n") + 1
    characters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    # The beginning and end of the text count as line breaks.
    around = np.concatenate([[ord("\n")], characters, [ord("\n")]])
    border = np.zeros(256, bool)
    border[list(b',\r\n"')] = True
    if not (border[around[quotes[::2]]].all() and border[around[quotes[1::2] + 2]].all()):
        return None
    if last:
        return None if len(quotes) % 2 else len(text)
    end = len(text)
    while True:
        end = text.rfind(b"\n", 0, end)
        before = int(np.searchsorted(quotes, end))
        if end < 0 or before % 2 == 0:
            return end + 1
        end = int(quotes[before - 1])


def _at_once(path: Path, text: bytes, names: list[str], dialect: Dialect, first: int) -> Iterable[Batch] | None:
    """The rows of complete records, parsed by pyarrow; None if it finds a fault."""
    from pyarrow import csv

    if not text.strip(b"\r\n"):
        return []
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect is _CSV else False,
                newlines_in_values=dialect is _CSV,
            ),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:
        return None
    batches = []
    for batch in table.to_batches():
        for piece in pieces(batch):
            batches.append(Batch(path, first, piece, text_only=True))
            first += len(piece)
    return batches


def _row_by_row(path: Path, records: Sequence[_Record], names: list[str], first: int) -> Iterator[Batch]:
    filled = (record for record in records if not record.is_blank)
    while part := list(islice(filled, ROWS_PER_BATCH)):
        rows, bad, lines = [], [], []
        for index, record in enumerate(part, first):
            fault = record.fault
            if fault is None and len(record.fields) != len(names):
                fault = f"has {plural(len(record.fields), 'field')}, where the header has {len(names)}"
            if fault is None:
                rows.append(record.fields)
                lines.append(record.line)
            else:
                bad.append(
                    UnreadableRow(index, f"{origin(path)}:{record.line} {fault}", record.raw.decode(errors="replace"))
                )
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        batch = pa.record_batch([pa.array(column, pa.string()) for column in columns], names=names)
        yield Batch(path, first, batch, tuple(bad), lines, text_only=True)
        first += len(part)


def _records(text: bytes, line: int, dialect: Dialect, *, last: bool) -> Iterator[_Record]:
    """The records of a text that begins on line `line`; an incomplete one at its end only if it is the `last` text."""
    csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST_ROW))
    try:
        decoded, is_clean = text.decode(), True
    except UnicodeDecodeError:
        decoded, is_clean = text.decode(errors="surrogateescape"), False
    lines = io.StringIO(decoded, newline="").readlines()
    if lines and not last and not lines[-1].endswith("\n"):
        # The rest of this line may follow, if only the second half of its line break.
        lines.pop()
    begin = 0
    while begin < len(lines):
        start = begin
        reader = csv.reader((lines[index] for index in range(start, len(lines))), dialect)
        try:
            for fields in reader:
                end = start + reader.line_num
                record = _Record(line + begin, lines[begin:end], fields)
                fault = None if is_clean else undecodable(record.raw)
                yield _Record(line + begin, record.lines, [], fault) if fault else record
                begin = end
        except csv.Error as error:
            end = start + reader.line_num
            if end == len(lines) and not last and "unexpected end" in str(error):
                return
            opened = begin + _line_of_fault(lines[begin:end])
            yield _Record(
                line + opened,
                lines[begin : opened + 1],
                [],
                "has a quotation mark that opens a field and none that closes it before a comma or the end of a line "
                "(one inside a quoted field is written twice)",
            )
            begin = opened + 1


def _line_of_fault(lines: Sequence[str]) -> int:
    """The index of the line with the opening quotation mark that is not closed before a comma or the end of a line."""
    text = "".join(lines)
    place = 0
    while place < len(text) and (field := (_QUOTED if text[place] == '"' else _BARE).match(text, place)):
        # Skip a comma or line break; the second half of a line break is read as an empty field.
        place = field.end() + 1
    return bisect(list(accumulate(map(len, lines))), place)


CSV = Format("CSV", (".csv",), partial(_read, dialect=_CSV), partial(_schema, dialect=_CSV))
TSV = Format("TSV", (".tsv",), partial(_read, dialect=_TSV), partial(_schema, dialect=_TSV))
