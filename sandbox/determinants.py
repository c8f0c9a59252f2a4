"""What determines a verdict besides the program, its inputs and its limits."""

import platform
import sys
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import xxhash

from synth.sandbox.jails import landlock_version
from synth.sandbox.rootfs import faketime, versions

__all__ = ["determinants", "source_digest"]


def determinants(jail: str, packages: Sequence[str]) -> dict[str, Any]:
    """For a jail of this kind. Raises `SandboxUnavailable` for a package that is not installed.

    `jail` counts because programs can tell them apart: by what they see of /proc, by their user and by the machine's
    name. The kernel's version counts only by whether it has Landlock, and libraries such as the C library not at all.
    """
    return {
        "jail": jail,
        # The other jails do not start without it.
        "landlock": jail != "bwrap" or landlock_version() > 0,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": versions(packages),
        "clock_shift": faketime() is not None,
    }


@cache
def source_digest() -> str:
    """A digest of this package's source: the worker's, the filters', and what reads the answers.

    A recorded verdict is not replayed under other code; but a finished output does not become stale with an upgrade.
    """
    found = sorted(_sources(files("synth.sandbox"), ""))
    return xxhash.xxh3_128_hexdigest("".join(f"{name}\0{text}\0" for name, text in found).encode())[:16]


def _sources(folder: Traversable, place: str) -> list[tuple[str, str]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _sources(entry, f"{place}{entry.name}/")
        elif entry.name.endswith(".py"):
            found.append((place + entry.name, entry.read_text("utf-8")))
    return found
