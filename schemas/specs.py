"""The words that name an input, and how the record of a run keeps them.

A record has paths relative to its dataset directory, so that they hold wherever the reader is, and after inputs and
outputs were moved together, into an object store as well. One that was written to an object store has absolute paths,
and older records have them as they were typed.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.schemas.stores.places import is_output, origin

__all__ = [
    "HUB",
    "PACKAGES",
    "STANDARD_INPUT",
    "STORES",
    "command_folder",
    "from_record",
    "recorded_command",
    "to_record",
]

# What is no path: a Hub dataset, standard input, the standard library with the installed packages, and the URLs of
# object stores.
HUB = "hf:"
STANDARD_INPUT = "-"
PACKAGES = "packages:"
STORES = ("s3://", "gs://", "az://")


def _is_path(spec: str) -> bool:
    return not spec.startswith((HUB, *STORES)) and spec not in (STANDARD_INPUT, PACKAGES)


def to_record(spec: str, out: Path) -> str:
    """A typed input as the record in `out` names it; absolute paths stay as they are."""
    if not _is_path(spec) or Path(spec).is_absolute():
        return spec
    path = Path(spec)
    # Symbolic links of folders are resolved, as the system does for `..`; an input keeps its own name.
    return _as_seen_from(out, Path(os.path.realpath(path.parent), path.name))


def from_record(spec: str, out: Path) -> str:
    """An input that the record in `out` names, as a path that is valid in the current directory."""
    if not _is_path(spec) or Path(spec).is_absolute():
        return spec
    place = origin(out)
    return _beside(place, spec) if place.startswith(STORES) else _from_here(out, spec)


def recorded_command(command: Sequence[str], out: Path) -> dict[str, Any]:
    """The parts of the record in `out` from which its command can be repeated: its words, and where they were typed."""
    return {"command": list(command), "folder": _as_seen_from(out, Path.cwd())}


def command_folder(record: Mapping[str, Any], out: Path) -> Path:
    """The directory in which the command of a record in `out` was typed; for older records, the current one."""
    return Path(_from_here(out, record["folder"])) if "folder" in record else Path()


def _as_seen_from(out: Path, path: Path) -> str:
    """An absolute path, relative to an output unless that is in an object store."""
    return str(path) if is_output(out) else os.path.relpath(path, os.path.realpath(out))


def _beside(url: str, path: str) -> str:
    """A path relative to a URL as a URL, unless it leaves the bucket."""
    scheme, _, place = url.partition("://")
    joined = os.path.normpath(f"{place}/{path}")
    return f"{scheme}://{joined}" if joined.startswith(f"{place.partition('/')[0]}/") else path


def _from_here(out: Path, path: str) -> str:
    """A path in the record in `out`, relative to the current directory unless the absolute path is shorter."""
    absolute = os.path.normpath(Path(os.path.realpath(out), path))
    return min(os.path.relpath(absolute), absolute, key=len)
