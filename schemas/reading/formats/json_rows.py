"""JSONL and JSON. Rows are dicts, since the types of columns follow only from a record type or from all rows.

Lines that are alike are columns, too (`json_columns`).
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.reading.formats.exact import BadJSON, is_lossless, parse, text_of
from synth.schemas.reading.formats.format import ROWS_PER_BATCH, Batch, Format, UnreadableRow
from synth.schemas.reading.formats.json_columns import columns_in, types_of
from synth.schemas.reading.formats.streams import BYTES_PER_BATCH, opened_text
from synth.schemas.stores.places import origin
from synth.schemas.threads import THREADS

__all__ = ["JSON", "JSONL", "describe"]

FIRST_BLOCK = 1 << 18


def describe(value: Any) -> str:
    """The type of a JSON value, in words."""
    words = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return words.get(type(value), "a number")


def _read_lines(path: Path, *, plain: bool = False) -> Iterator[Batch]:
    """One object per line. Any other line is a bad row, and blank lines are skipped.

    Blocks with the types of an earlier one are read as columns, several at once. A file is `plain` if an earlier
    reading found that orjson parses it exactly.
    """
    first = number = 0
    types: pa.Schema | None = None
    with opened_text(path) as file, ThreadPoolExecutor(THREADS) as pool:
        blocks = _blocks(file)
        ahead: deque[tuple[bytes, Future[pa.RecordBatch | None]]] = deque()
        while True:
            # Not before there are types, so that whoever wants only the first rows waits for no others.
            missing = max(0, (2 * THREADS if types else 1) - len(ahead))
            ahead.extend((text, pool.submit(_columns, text, types)) for text in islice(blocks, missing))
            if not ahead:
                return
            text, parsed = ahead.popleft()
            if columns := parsed.result():
                lines = range(number + 1, number + len(columns) + 1)
                batch = Batch(path, first, columns, (), lines, plain=True, text=text)
            else:
                batch = _by_row(path, text, first, number, plain=plain)
                types = types_of(batch.rows)
            if batch.size:
                yield batch
            first += batch.size
            number += len(columns) if columns else text.count(b"\n")


def _blocks(file: BufferedReader) -> Iterator[bytes]:
    """The text in blocks of whole lines. The first is small: enough to know the types, or to show rows."""
    size = FIRST_BLOCK
    while text := file.read(size):
        yield text if text.endswith(b"\n") else text + file.readline()
        size = BYTES_PER_BATCH


def _columns(text: bytes, types: pa.Schema | None) -> pa.RecordBatch | None:
    return columns_in(text, types) if types else None


def _by_row(path: Path, text: bytes, first: int, before: int, *, plain: bool) -> Batch:
    """A block as dicts, one for each of its lines, which follow `before` others."""
    lines = BytesIO(text).readlines()
    try:
        rows = list(map(orjson.loads, lines))
        whole = set(map(type, rows)) <= {dict} and (plain or is_lossless(text, rows))
    except orjson.JSONDecodeError:
        whole = False
    if whole:
        return Batch(path, first, rows, (), range(before + 1, before + len(lines) + 1), plain=True)
    return _line_by_line(path, lines, first, before)


def _line_by_line(path: Path, lines: list[bytes], first: int, before: int) -> Batch:
    """As `_read_lines`, for a block with blank lines, errors, or values that orjson may have changed."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: list[UnreadableRow] = []
    for number, line in enumerate(map(bytes.rstrip, lines), before + 1):
        if not line:
            continue
        try:
            rows.append(_object(parse(line), "each line must be one JSON object"))
            numbers.append(number)
        except BadJSON as error:
            detail = f"{origin(path)}:{number} {error}"
            bad.append(UnreadableRow(first + len(rows) + len(bad), detail, line.decode(errors="replace")))
    return Batch(path, first, rows, tuple(bad), numbers)


def _object(value: Any, rule: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadJSON(f"is {describe(value)}, where {rule}")
    return value


def _is_jsonl(path: Path) -> bool:
    """Whether a `.json` file is in fact JSONL: its first line is a complete object, and more follows."""
    with opened_text(path) as file:
        if file.peek(1)[:1] != b"{":
            return False
        try:
            parse(file.readline())
        except BadJSON:
            return False
        return any(line.strip() for line in file)


def _read_json(path: Path) -> Iterator[Batch]:
    """A list of objects, or an object with one such list. An item that is not an object is a bad row."""
    if _is_jsonl(path):
        yield from _read_lines(path)
        return
    with opened_text(path) as file:
        text = file.read()
    if not text.strip():
        return
    try:
        value = parse(text)
    except BadJSON as error:
        raise InputError(f"{origin(path)} {error}") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        if len(lists) != 1:
            raise InputError(f"{origin(path)} is an object with {len(lists)} lists, where one must have the rows")
        (value,) = lists
    if not isinstance(value, list):
        raise InputError(f"{origin(path)} is {describe(value)}, where a list of objects is needed")
    for first in range(0, len(value), ROWS_PER_BATCH):
        items = value[first : first + ROWS_PER_BATCH]
        rows = [item for item in items if isinstance(item, dict)]
        bad = tuple(
            UnreadableRow(
                index,
                f"row {index + 1} of {origin(path)} is {describe(item)}, where each row must be an object",
                text_of(item),
            )
            for index, item in enumerate(items, first)
            if not isinstance(item, dict)
        )
        yield Batch(path, first, rows, bad)


def _lines_of(path: Path) -> int:
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(BYTES_PER_BATCH):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


JSONL = Format(
    "JSONL", (".jsonl", ".ndjson"), _read_lines, read_plain=partial(_read_lines, plain=True), count=_lines_of
)
JSON = Format("JSON", (".json",), _read_json)
