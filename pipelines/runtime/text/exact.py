"""When two texts, or two addresses, are the same."""

import re
from urllib.parse import urlsplit

from synth.pipelines.runtime.text.characters import nfc, without_invisible
from synth.pipelines.runtime.text.words import spans

__all__ = ["same_text", "same_url"]

_BLANK = re.compile(r"\s")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def same_text(text: str) -> str:
    """What equal texts share: NFC without invisible characters, any white space as one blank, none at the ends."""
    seen = nfc(text)
    # A list of all words of a long text would take ten times its memory.
    pieces = (" ".join(seen[start:end].split()) for start, end in spans(seen, _BLANK))
    return " ".join(filter(None, pieces))


def same_url(url: str) -> str:
    """What addresses of one page share: no scheme, fragment, default port or slash at the end; the host in lower case.

    Empty for what leads to no page: `N/A`, or the address of a whole site, as rows have it for want of a better one.
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
