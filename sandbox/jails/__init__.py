"""Jails: each starts one worker behind a wall of its own and gives the stream on which it is spoken to.

A jail starts `command(...)` with `environment(...)` and nothing else, in a root made by `sandbox.rootfs`, as a user who
owns nothing. The worker's own source follows on its standard input, so that no file of ours lies in the jail.
"""

import ctypes
import json
import socket
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "NOBODY",
    "Jail",
    "Worker",
    "command",
    "environment",
    "first_frame",
    "frame",
    "landlock_version",
]

NOBODY = 65534
# A day far enough away that no date computed from today's survives it: 433 days.
SHIFTED_CLOCK = "+433d"
# Reads one frame, [[module name, source], ...], makes these modules, and hands over to the last of them.
BOOTSTRAP = """
import json, os, sys, types
def take(size):
    data = b""
    while len(data) < size:
        block = os.read(0, size - len(data))
        if not block: os._exit(0)
        data += block
    return data
for name, source in json.loads(take(int.from_bytes(take(4), "big"))):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, "<" + name + ">", "exec"), module.__dict__)
module.main()
"""


class Worker(Protocol):
    """One started worker."""

    @property
    def socket(self) -> socket.socket:
        """A connected stream socket, the worker's standard input and output; the caller closes it."""

    def unwrap(self, block: bytes) -> bytes:
        """What the worker wrote, out of what came through the socket (a Docker stream comes in packets)."""

    def kill(self) -> str:
        """End the worker and all that it started, and wait for it. Returns what it said on standard error."""


class Jail(Protocol):
    """A kind of jail. All but `identity` is called from one thread, the one that outlives every worker."""

    kind: str
    # What a user may do where no worker comes up.
    remedy: str
    # The version of Landlock without which this jail does not hold; 0 where other walls suffice.
    landlock: int
    # Where the jail sees the rootfs.
    root: Path
    # RLIMIT_NPROC of a program, None where the kernel would count strangers.
    processes: int | None

    def prepare(self) -> None:
        """See that workers can be started, and clear away what a killed run left. Raises `SandboxUnavailable`."""

    def start(self, profile: int, memory_mb: int) -> Worker:
        """Start one worker, for programs of at most so much memory. Raises `SandboxUnavailable` or OSError."""

    def identity(self) -> dict[str, Any]:
        """What else is known of this jail, for the record of a run."""


def command(root: Path) -> list[str]:
    """The command line of a worker whose rootfs is seen at `root`."""
    # Not -I and not -E: they would also ignore PYTHONHASHSEED.
    return [str(root / "python/bin/python3"), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", BOOTSTRAP]


def environment(root: Path, profile: int, *, shift_clock: bool = False) -> dict[str, str]:
    """All the environment variables of a worker. Profiles differ in what a program's answers must not depend on: the
    seed of hashes, and, where the rootfs has libfaketime, the clock."""
    shown = {
        "PYTHONHASHSEED": str(profile),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "LD_LIBRARY_PATH": str(root / "lib"),
        # Each arena and each pool of threads costs address space, which is limited.
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    if profile and shift_clock:
        shown |= {
            "LD_PRELOAD": str(root / "lib/libfaketime.so.1"),
            "FAKETIME": SHIFTED_CLOCK,
            "DONT_FAKE_MONOTONIC": "1",
        }
    return shown


def landlock_version() -> int:
    """Of this machine's kernel; 0 where it has none."""
    create_ruleset, version = 444, 1
    return max(int(ctypes.CDLL(None).syscall(create_ruleset, None, ctypes.c_size_t(0), version)), 0)


@cache
def first_frame() -> bytes:
    """The frame that the bootstrap waits for: the worker's source."""
    names = ("values", "worker")
    sources = [[f"synth.sandbox.{name}", (files("synth.sandbox") / f"{name}.py").read_text("utf-8")] for name in names]
    return frame(json.dumps(sources).encode())


def frame(body: bytes) -> bytes:
    """One message to a worker."""
    return len(body).to_bytes(4, "big") + body
