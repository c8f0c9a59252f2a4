"""Folders on this machine that stand for object stores: copies of what is read, and workplaces of what is written.

    $XDG_CACHE_HOME/synth/stores/<digest>/s3/bucket/key        ~/.cache by default
    $XDG_STATE_HOME/synth/outputs/<digest>/s3/bucket/key       ~/.local/state by default

A path in them hence tells the URL of its object, in any process.
"""

import os
from functools import lru_cache
from pathlib import Path

import xxhash

from synth.schemas.errors import UsageError
from synth.schemas.stores.store import Store

__all__ = ["copies", "is_output", "origin", "output_at", "root_in", "url_of"]


def copies() -> Path:
    """The folder of all copies of objects."""
    return _absolute(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "synth" / "stores"


def output_at(url: str) -> Path:
    """The path that stands for the output at a URL. Raises `UsageError` if it names no place in a bucket."""
    store, key = Store.of(url)
    if not key or {"", ".", ".."} & {*key.split("/")}:
        raise UsageError(f"{store.url(key)} cannot be an output: name a place in the bucket, as in {store.url()}/NAME")
    digest = xxhash.xxh3_64_hexdigest(store.url(key).encode())
    return _outputs() / digest / store.scheme / store.bucket / key


def is_output(path: Path) -> bool:
    """Whether a path stands for an output in a store, or belongs to its workplace."""
    return _outputs() in path.parents


def root_in(folder: Path, path: Path) -> Path | None:
    """The folder of one URL that a path belongs to, among those in `folder`; None if it belongs to none."""
    return folder / path.relative_to(folder).parts[0] if folder in path.parents else None


def url_of(root: Path, path: Path) -> str:
    """The URL of a path in the folder of a URL."""
    scheme, *parts = path.relative_to(root).parts
    return f"{scheme}://{'/'.join(parts)}"


def origin(path: Path) -> str:
    """The URL of a path that stands for an object or a folder in a store; any other path as it is."""
    for folder in (copies(), _outputs()):
        if root := root_in(folder, path):
            return url_of(root, path)
    return str(path)


def _outputs() -> Path:
    return _absolute(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "synth" / "outputs"


@lru_cache
def _absolute(folder: str) -> Path:
    return Path(folder).expanduser().resolve()
