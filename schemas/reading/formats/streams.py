"""The bytes of a file, decompressed by its suffix, and the faults of text that is not UTF-8."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.schemas.errors import InputError

__all__ = ["BYTES_PER_BATCH", "BYTE_ORDER_MARK", "COMPRESSED", "input_errors", "opened_text", "undecodable"]

BYTES_PER_BATCH = 2 << 20
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Byte order marks, the longer ones first.
_ENCODINGS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@contextmanager
def input_errors(path: Path, form: str) -> Iterator[None]:
    """Turns errors of the file system, decompressors and Arrow into `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read as {form}: {error.strerror or _first_line(error)}") from error
    except (pa.ArrowException, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as {form}: {_first_line(error)}") from error


def opened_text(path: Path) -> BufferedReader:
    """The file after its byte order mark. Raises `InputError` for text in UTF-16 or UTF-32."""
    file = BufferedReader(_stream(path))
    start = file.peek(4)[:4]
    if encoding := _encoding(start):
        source = {".gz": "gzip -dc", ".zst": "zstd -dc"}.get(path.suffix.lower(), "cat")
        raise InputError(
            f"{path} is {encoding} text, where UTF-8 is needed: convert it, as in "
            f"`{source} {path} | iconv -f {encoding} -t UTF-8 > NEW`"
        )
    if start.startswith(BYTE_ORDER_MARK):
        file.read(len(BYTE_ORDER_MARK))
    return file


def undecodable(line: bytes) -> str | None:
    """A message for the first byte of a line that is not UTF-8; None if there is none."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text: byte 0x{line[error.start]:02x} at position {error.start + 1}"
    return None


def _encoding(start: bytes) -> str | None:
    """The encoding by a byte order mark, or by the zero bytes of the first character."""
    for mark, encoding in _ENCODINGS:
        if start.startswith(mark):
            return encoding
    match [byte == 0 for byte in start]:
        case [False, True, True, True]:
            return "UTF-32LE"
        case [True, True, True, False]:
            return "UTF-32BE"
        case [False, True, False, True]:
            return "UTF-16LE"
        case [True, False, True, False]:
            return "UTF-16BE"
    return None


def _stream(path: Path) -> Any:
    """A truncated stream raises `OSError`."""
    return pa.input_stream(str(path), compression=COMPRESSED.get(path.suffix.lower()))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
