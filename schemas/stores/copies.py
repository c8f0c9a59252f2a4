"""Local copies of what is read in object stores: each object is fetched once, when it is first needed, and kept.

<digest>/                 the URL as it was listed; if an object changes, it is another one
  listing.json            the objects below the URL
  s3/bucket/key           the objects that were fetched
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import xxhash

from synth.schemas.atomic import write_json
from synth.schemas.errors import InputError
from synth.schemas.stores.places import copies, root_in, url_of
from synth.schemas.stores.store import Store, Stored
from synth.schemas.stores.transfer import fetch

__all__ = ["Copy", "as_needed", "entries", "present"]

# Most files fetched before the first of them is read.
MOST_AHEAD = 64


@dataclass(frozen=True)
class Copy:
    """The copy of an object, or of all objects below a folder; `path` is where it lies."""

    root: Path
    path: Path
    objects: dict[Path, Stored]

    @classmethod
    def of(cls, url: str) -> "Copy":
        """List the objects of a URL; none is fetched. Raises `InputError` if there are none."""
        store, key = Store.of(url)
        found = store.below(key)
        if not found:
            single = store.find(key) if key else None
            if single is None:
                raise InputError(f"there is no object {store.url(key)}, and none below it")
            found = [single]
        listing = {"url": store.url(key), "objects": [astuple(stored) for stored in found]}
        root = copies() / xxhash.xxh3_128(json.dumps(listing).encode()).hexdigest()
        file = root / "listing.json"
        if not file.is_file():
            root.mkdir(parents=True, exist_ok=True)
            write_json(file, listing)
        copy = _copy_in(root)
        (copy.path.parent if copy.is_file else copy.path).mkdir(parents=True, exist_ok=True)
        return copy

    @property
    def is_file(self) -> bool:
        return self.path in self.objects


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files and the folders in a folder, sorted; in a copy also those that were not fetched."""
    root = root_in(copies(), folder)
    if root is None:
        found = sorted(folder.iterdir())
        return [entry for entry in found if entry.is_file()], [entry for entry in found if entry.is_dir()]
    below = [path for path in _copy_in(root).objects if path.is_relative_to(folder)]
    folders = {folder / path.relative_to(folder).parts[0] for path in below if path.parent != folder}
    return sorted(path for path in below if path.parent == folder), sorted(folders)


def present(files: Sequence[Path]) -> None:
    """Fetch those of these files that belong to copies and are not there yet. Does nothing for other files.

    Raises `InputError` if one cannot be fetched; those that are complete are kept.
    """
    missing: dict[Path, list[Path]] = {}
    for file in files:
        if (root := root_in(copies(), file)) and not file.exists():
            missing.setdefault(root, []).append(file)
    for root, wanted in missing.items():
        _fetch(_copy_in(root), wanted)


def as_needed(files: Sequence[Path]) -> Iterator[Path]:
    """The files in order, each fetched before it is needed: the first alone, then ever more at once."""
    start, number = 0, 1
    while some := files[start : start + number]:
        present(some)
        yield from some
        start, number = start + number, min(2 * number, MOST_AHEAD)


@lru_cache
def _copy_in(root: Path) -> Copy:
    try:
        listing = json.loads((root / "listing.json").read_text())
    except OSError as error:
        raise InputError(f"{root} was removed while it was in use: repeat the command") from error
    store, key = Store.of(listing["url"])
    top = root / store.scheme / store.bucket
    return Copy(root, top / key, {top / each[0]: Stored(*each) for each in listing["objects"]})


def _fetch(copy: Copy, files: Sequence[Path]) -> None:
    for file in files:
        if file not in copy.objects:
            raise InputError(f"there is no object {url_of(copy.root, file)}")
    url = url_of(copy.root, copy.path)
    try:
        fetch(Store.of(url)[0], {file: copy.objects[file] for file in files})
    except OSError as error:
        raise InputError(
            f"{url} cannot be kept in {copies()} ({error.strerror}): "
            "set XDG_CACHE_HOME to a folder that has room for it"
        ) from error
