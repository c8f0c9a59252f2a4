"""Files and folders that are there whole or not at all, whenever a process is killed."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["atomic", "remove", "remove_unfinished", "sync", "temporary_beside", "write_json"]

_TEMPORARY = ".tmp"


def temporary_beside(path: Path) -> Path:
    """A name in the same folder that nobody else has, for what is to be renamed to `path` when it is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")


@contextmanager
def atomic(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary name under which to write a file, or a folder, that gets the name `path` when the block ends.

    If `durable`, a file survives a power cut, too. After an error nothing is left of it.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        if durable:
            sync(temporary)
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            remove(temporary)
        raise


def write_json(path: Path, value: Mapping[str, Any], *, durable: bool = True) -> None:
    with atomic(path, durable=durable) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def sync(path: Path) -> None:
    """Make the bytes of a file durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have left under temporary names anywhere below a folder that nobody writes in."""
    for path in list(folder.rglob(f".*{_TEMPORARY}")):
        remove(path)
