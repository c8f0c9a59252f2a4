"""Values of a row in readable form, including types that JSON lacks."""

import json
from typing import Any

__all__ = ["json_text", "readable", "rounded", "shortened", "text_of"]

# Bytes up to this length are shown in full, and this many of longer ones.
WHOLE = 16
FIRST = 8
# Magic numbers of file types.
KINDS = {
    b"\x89PNG\r\n\x1a\n": "PNG image",
    b"\xff\xd8\xff": "JPEG image",
    b"GIF8": "GIF image",
    b"BM": "BMP image",
    b"II*\0": "TIFF image",
    b"MM\0*": "TIFF image",
    b"fLaC": "FLAC audio",
    b"OggS": "Ogg audio",
    b"ID3": "MP3 audio",
    b"%PDF-": "PDF document",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
}
RIFF = {b"WEBP": "WebP image", b"WAVE": "WAV audio", b"AVI ": "AVI video"}


def readable(value: Any) -> Any:
    """`value` in JSON types: bytes by size, file type and beginning; times, decimals, NaN and infinity as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, dict):
        return {str(name): readable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    # Times, durations, decimals, UUIDs.
    return str(value)


def rounded(value: Any) -> Any:
    """`value` in JSON types with six digits of each float, or all before the point and one after it."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < 100_000 else round(value, 1)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def json_text(value: Any, indent: int | None = None) -> str:
    """The `readable` form of a value as JSON."""
    return json.dumps(readable(value), ensure_ascii=False, indent=indent)


def text_of(value: Any, indent: int | None = None) -> str:
    """The `readable` form of a value: a string as it is, anything else as JSON."""
    shown = readable(value)
    return shown if isinstance(shown, str) else json_text(shown, indent)


def shortened(text: str, most: int) -> str:
    """`text`, or its first `most` characters and its length."""
    return text if len(text) <= most else f"{text[:most]}… {len(text):,} characters"


def _bytes(value: bytes) -> str:
    from xxhash import xxh3_64_hexdigest

    size = f"{len(value):,} byte{'' if len(value) == 1 else 's'}"
    if len(value) <= WHOLE:
        return f"<{size}{': ' if value else ''}{value.hex(' ')}>"
    kind = next((kind for begin, kind in KINDS.items() if value.startswith(begin)), None)
    kind = RIFF.get(value[8:12]) if value.startswith(b"RIFF") else kind
    # The hash distinguishes values with the same beginning.
    return f"<{kind or value[:FIRST].hex(' ') + ' …'}, {size}, hash {xxh3_64_hexdigest(value)[:8]}>"
