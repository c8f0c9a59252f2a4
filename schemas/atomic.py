"""Files and folders that appear complete or not at all, even if the process is killed."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "atomic",
    "create_json",
    "json_text",
    "remove",
    "remove_unfinished",
    "sync",
    "temporary_beside",
    "write_json",
]

_TEMPORARY = ".tmp"


def temporary_beside(path: Path) -> Path:
    """A unique name in the same folder, to be renamed to `path` when its content is complete."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")


@contextmanager
def atomic(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary name for a file or folder that is renamed to `path` when the block ends, and removed after an error.

    If `durable`, the content also survives a power cut.
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
    with atomic(path, durable=durable) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


def create_json(path: Path, value: Mapping[str, Any]) -> bool:
    """Write a file that does not exist yet; False, without any effect, if it does. One of many writers succeeds."""
    temporary = temporary_beside(path)
    try:
        temporary.write_text(json_text(value), encoding="utf-8")
        sync(temporary)
        # Unlike a rename, a link replaces nothing.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def json_text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of killed processes anywhere below a folder that no process is writing to."""
    for path in list(folder.rglob(f".*{_TEMPORARY}")):
        remove(path)
