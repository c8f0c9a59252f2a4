"""Files of Python source or plain text as rows: `id` is the path below where the search began, `content` the text."""

import os
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas.formats import Batch
from schemas.formats.streams import BYTES_PER_BATCH

__all__ = ["PACKAGES", "SUFFIXES", "files_below", "installed", "read_texts"]

SUFFIXES = (".py", ".txt")

# Instead of a path: the standard library of the running interpreter, and the packages installed beside it.
PACKAGES = "packages:"


def files_below(root: Path, suffix: str) -> dict[str, Path]:
    """All files of this suffix below `root` by their path in it, sorted; hidden folders and site-packages left out."""
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "site-packages")
        for name in sorted(files):
            if name.endswith(suffix):
                path = Path(folder, name)
                found[path.relative_to(root).as_posix()] = path
    return found


def installed() -> dict[str, Path]:
    """The standard library as `stdlib/...`, then installed packages as `site-packages/...`."""
    paths = sysconfig.get_paths()
    found = {f"stdlib/{name}": path for name, path in files_below(Path(paths["stdlib"]), ".py").items()}
    for root in dict.fromkeys((paths["purelib"], paths["platlib"])):
        found.update((f"site-packages/{name}", path) for name, path in files_below(Path(root), ".py").items())
    return found


def read_texts(files: Sequence[Path], names: Sequence[str]) -> Iterator[Batch]:
    """Rows in order. Bytes that UTF-8, or the encoding that a file declares, has not become U+FFFD."""
    rows: list[dict[str, Any]] = []
    first = size = 0
    for index, (file, name) in enumerate(zip(files, names, strict=True)):
        content = _text(file)
        rows.append({"id": name, "content": content})
        size += len(content)
        if size >= BYTES_PER_BATCH or index == len(files) - 1:
            yield Batch(files[first], "text", first, rows)
            rows, first, size = [], index + 1, 0


def _text(file: Path) -> str:
    with file.open("rb") as lines:
        try:
            encoding, _ = tokenize.detect_encoding(lines.readline)
        except SyntaxError:
            encoding = "utf-8"
        lines.seek(0)
        return lines.read().decode(encoding, errors="replace")
