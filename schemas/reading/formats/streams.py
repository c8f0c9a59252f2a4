"""The bytes of a file, decompressed by its suffix, and the faults of text that is not UTF-8."""

import codecs
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import pyarrow as pa

from synth.schemas.errors import InputError
from synth.schemas.phrases import first_line
from synth.schemas.stores.places import origin

__all__ = ["BYTES_PER_BATCH", "COMPRESSED", "input_errors", "opened_text", "undecodable"]

BYTES_PER_BATCH = 2 << 20
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}


@contextmanager
def input_errors(path: Path, form: str) -> Iterator[None]:
    """Turns errors of the file system, decompressors and Arrow into `InputError`."""
    try:
        yield
    except (OSError, pa.ArrowException, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{origin(path)} cannot be read as {form}: {reason}") from error


def opened_text(path: Path) -> BufferedReader:
    """The file after its byte order mark. Raises `InputError` for text in UTF-16 or UTF-32."""
    # A truncated stream raises `OSError`.
    file = BufferedReader(pa.input_stream(str(path), compression=COMPRESSED.get(path.suffix.lower())))
    start = file.peek(4)[:4]
    # A file of zeros, as a power cut leaves it, is not text.
    encoding = json.detect_encoding(start) if any(start) else "utf-8"
    if encoding.startswith(("utf-16", "utf-32")):
        name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
        source = {".gz": "gzip -dc", ".zst": "zstd -dc"}.get(path.suffix.lower(), "cat")
        raise InputError(
            f"{origin(path)} is {name} text, where UTF-8 is needed: convert it, as in "
            f"`{source} {path} | iconv -f {name} -t UTF-8 > NEW`"
        )
    if encoding == "utf-8-sig":
        file.read(len(codecs.BOM_UTF8))
    return file


def undecodable(line: bytes) -> str | None:
    """A message for the first byte of a line that is not UTF-8; None if there is none."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text: byte 0x{line[error.start]:02x} at position {error.start + 1}"
    return None
