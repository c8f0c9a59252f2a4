"""When two texts, or two addresses, are the same."""

import re
import unicodedata
from urllib.parse import urlsplit

from pipelines.dedup.words import spans

__all__ = ["same_text", "same_url"]

_BLANK = re.compile(r"\s")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def same_text(text: str) -> str:
    """What equal texts share: NFC, white space between words as one blank, none at the ends. Case counts."""
    composed = unicodedata.normalize("NFC", text)
    # A list of all words of a long text would take ten times its memory.
    pieces = (" ".join(composed[start:end].split()) for start, end in spans(composed, _BLANK))
    return " ".join(filter(None, pieces))


def same_url(url: str) -> str:
    """What addresses of one page share: no scheme, fragment, default port or slash at the end; the host in lower case.

    What cannot be read as an address is compared as it is.
    """
    address = url.strip()
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        port = parts.port
    except ValueError:
        return address
    host = (parts.hostname or "").rstrip(".")
    shown = f"{host}:{port}" if port and port != _DEFAULT_PORTS.get(parts.scheme, 80) else host
    query = f"?{parts.query}" if parts.query else ""
    return f"{shown}{parts.path.rstrip('/')}{query}"
