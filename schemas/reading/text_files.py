"""Files of Python source or plain text as rows: `id` is the path below the searched folder, `content` the text.

Unreadable files, and those that are not regular files, are skipped with a warning.
"""

import logging
import os
import stat
import sysconfig
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from synth.schemas.errors import InputError
from synth.schemas.phrases import plural
from synth.schemas.reading.formats import Batch
from synth.schemas.reading.formats.streams import BYTES_PER_BATCH
from synth.schemas.shards import file_checksum

__all__ = ["SUFFIXES", "checksums", "files_below", "installed", "read_texts", "readable"]

SUFFIXES = (".py", ".txt")

_FILES_SHOWN = 3


def files_below(root: Path, suffix: str) -> dict[str, Path]:
    """All files with this suffix below `root` by relative path, sorted, without hidden folders and site-packages."""
    found: dict[str, Path] = {}
    unread: dict[str, str] = {}

    def note(error: OSError) -> None:
        unread[f"{Path(error.filename).relative_to(root)}/"] = str(error.strerror)

    for folder, folders, files in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "site-packages")
        for name in sorted(files):
            if name.endswith(suffix):
                path = Path(folder, name)
                found[path.relative_to(root).as_posix()] = path
    _warn_skipped(unread)
    return found


def installed() -> dict[str, Path]:
    """The standard library as `stdlib/...`, then installed packages as `site-packages/...`."""
    paths = sysconfig.get_paths()
    found = {f"stdlib/{name}": path for name, path in files_below(Path(paths["stdlib"]), ".py").items()}
    for root in dict.fromkeys((paths["purelib"], paths["platlib"])):
        found.update((f"site-packages/{name}", path) for name, path in files_below(Path(root), ".py").items())
    return found


def readable(files: Mapping[str, Path]) -> dict[str, Path]:
    """The files that can be read now. Raises `InputError` if none can."""
    unread: dict[str, str] = {}
    for name, path in files.items():
        try:
            with _opened(path) as file:
                file.read(1)
        except OSError as error:
            unread[name] = str(error.strerror)
    if files and len(unread) == len(files):
        raise InputError(f"no file can be read: {_listed(unread)}")
    _warn_skipped(unread)
    return {name: path for name, path in files.items() if name not in unread}


def checksums(files: Sequence[Path], names: Sequence[str]) -> dict[str, str]:
    """Checksums by name, without files that no longer exist."""
    sums: dict[str, str] = {}
    for file, name in zip(files, names, strict=True):
        with suppress(InputError):
            sums[name] = file_checksum(file)
    return sums


def read_texts(files: Sequence[Path], names: Sequence[str]) -> Iterator[Batch]:
    """Rows in order. Bytes that are invalid in UTF-8, or in the encoding that a file declares, become U+FFFD."""
    rows: list[dict[str, Any]] = []
    unread: dict[str, str] = {}
    first = size = 0
    for file, name in zip(files, names, strict=True):
        try:
            content = _text(file)
        except OSError as error:
            unread[name] = str(error.strerror)
            continue
        rows.append({"id": name, "content": content})
        size += len(content)
        if size >= BYTES_PER_BATCH:
            yield Batch(file, first, rows)
            rows, first, size = [], first + len(rows), 0
    if rows:
        yield Batch(file, first, rows)
    _warn_skipped(unread)


def _text(path: Path) -> str:
    with _opened(path) as file:
        try:
            encoding, _ = tokenize.detect_encoding(file.readline)
        except SyntaxError:
            encoding = "utf-8"
        file.seek(0)
        content = file.read()
    try:
        return content.decode(encoding, errors="replace")
    except (LookupError, ValueError):
        # The declared codec is unknown, or does not decode text.
        return content.decode(errors="replace")


def _opened(path: Path) -> BinaryIO:
    """Open a regular file; reading another kind, such as a pipe, could block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def _warn_skipped(unread: Mapping[str, str]) -> None:
    if unread:
        logging.getLogger("synth").warning("%s skipped: %s", plural(len(unread), "file"), _listed(unread))


def _listed(unread: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} ({reason})" for name, reason in islice(unread.items(), _FILES_SHOWN))
    more = len(unread) - _FILES_SHOWN
    return f"{listed} and {more} more" if more > 0 else listed
