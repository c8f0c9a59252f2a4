"""Canonical forms of texts and URLs, to compare them."""

import re
from urllib.parse import urlsplit

from synth.pipelines.runtime.text.characters import is_plain, nfc, without_invisible
from synth.pipelines.runtime.text.words import spans

__all__ = ["same_text", "same_url"]

_BLANK = re.compile(r"\s")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def same_text(text: str) -> str:
    """The text in NFC without invisible characters, stripped, and with each run of white space as one blank."""
    if is_plain(text) and "  " not in text:
        return text.strip()
    seen = nfc(text)
    # In pieces, because a list of all words of a long text would take ten times its memory.
    pieces = (" ".join(seen[start:end].split()) for start, end in spans(seen, _BLANK))
    return " ".join(filter(None, pieces))


def same_url(url: str) -> str:
    """The URL without scheme, fragment, default port and trailing slash, with the host in lower case.

    Empty if it does not identify a page: `N/A`, or the URL of a whole site, which rows may have as a stopgap.
    """
    address = without_invisible(url).strip()
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    if not (parts.path.strip("/") or parts.query) or not (parts.scheme or "." in host):
        return ""
    shown = f"{host}:{port}" if port and port != _DEFAULT_PORTS.get(parts.scheme, 80) else host
    query = f"?{parts.query}" if parts.query else ""
    return f"{shown}{parts.path.rstrip('/')}{query}"
