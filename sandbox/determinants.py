"""The facts that determine a verdict besides the program, its inputs and its limits."""

import platform
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import xxhash

from synth.sandbox.jails import landlock_version
from synth.sandbox.rootfs import faketime, versions

__all__ = ["determinants", "source_digest"]


def determinants(jail: str, packages: Sequence[str]) -> dict[str, Any]:
    """The facts for this kind of jail. Raises `SandboxUnavailable` for a package that is not installed.

    Includes `jail`, because programs can tell jails apart by /proc, the user and the host name. Of the kernel only the
    presence of Landlock counts, and libraries such as the C library do not count.
    """
    return {
        "jail": jail,
        # All jails but bwrap require it.
        "landlock": jail != "bwrap" or landlock_version() > 0,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": versions(packages),
        "clock_shift": faketime() is not None,
    }


@cache
def source_digest() -> str:
    """A digest of this package's source: the worker, the filters and the parsing of answers.

    A verdict recorded by other code is not replayed; but an upgrade does not make a finished output stale.
    """
    found = sorted(_sources(files("synth.sandbox"), ""))
    return xxhash.xxh3_128_hexdigest("".join(f"{name}\0{text}\0" for name, text in found).encode())[:16]


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield prefix + entry.name, entry.read_text("utf-8")
