"""WET archives, such as Common Crawl's `*.warc.wet.gz`: the extracted text of web pages."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synth.schemas.reading.formats.format import Batch, Format
from synth.schemas.reading.formats.streams import BYTES_PER_BATCH

__all__ = ["WET"]


def _read_wet(path: Path) -> Iterator[Batch]:
    """Rows of id, url and text. Bytes that are not UTF-8 become U+FFFD."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    rows: list[dict[str, Any]] = []
    first = size = 0
    # Of the decompressors, only this one detects truncated files.
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for record in ArchiveIterator(file, WarcRecordType.conversion, parse_http=False):
            text = record.reader.read()
            if record.headers.get("Content-Length") != str(len(text)):
                raise EOFError(f"it is cut off in the record {record.record_id}")
            url = record.headers.get("WARC-Target-URI")
            rows.append({"id": record.record_id, "url": url, "text": text.decode(errors="replace")})
            size += len(text)
            if size >= BYTES_PER_BATCH:
                yield Batch(path, first, rows)
                rows, first, size = [], first + len(rows), 0
    yield Batch(path, first, rows)


WET = Format("WET", (".wet",), _read_wet)
