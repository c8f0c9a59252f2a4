"""Jails: each isolates a worker in its own way and provides the stream to communicate with it.

A jail runs only its `_command` with its `_environment`, in a root made by `sandbox.rootfs`, as a user who owns nothing.
The worker's source arrives on its standard input, so the jail contains none of our files.
"""

import ctypes
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

__all__ = ["NOBODY", "Jail", "Worker", "first_frame", "frame", "landlock_version", "last_line"]

NOBODY = 65534
# Far enough that any date computed from today's changes.
SHIFTED_CLOCK = "+433d"
# Reads one frame, [[module name, source], ...], creates these modules and calls the `main` of the last one.
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
    """A started worker."""

    @property
    def socket(self) -> socket.socket:
        """A connected stream socket, the worker's standard input and output."""

    def unwrap(self, block: bytes) -> bytes:
        """Extract the worker's output from bytes of the socket (Docker wraps it in packets)."""

    def kill(self) -> str:
        """Kill the worker and all its children and wait for it. Returns the last line of its standard error."""


class Jail(ABC):
    """A kind of jail. All methods but `identity` are called from one thread, which outlives every worker."""

    kind: str
    # Advice for the user if no worker starts.
    remedy: str
    # The Landlock version that this jail requires; 0 if it is safe without Landlock.
    landlock = 0
    # The path of the rootfs inside the jail.
    root = Path("/")
    # RLIMIT_NPROC of a program; None if the kernel would also count processes outside the jail.
    processes: int | None = None

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._packages = packages
        self._has_faketime = False

    @abstractmethod
    def prepare(self) -> None:
        """Get ready to start workers, and remove leftovers of killed runs. Raises `SandboxUnavailable`."""

    @abstractmethod
    def start(self, profile: int, memory_mb: int) -> Worker:
        """Start a worker for programs of up to `memory_mb`. Raises `SandboxUnavailable` or OSError."""

    def identity(self) -> dict[str, Any]:
        """Further facts about this jail, for the record of a run."""
        return {}

    def _cached_rootfs(self) -> Path:
        # Imported late, because the command line imports the registry of jails.
        from synth.sandbox.rootfs import cached_rootfs

        rootfs = cached_rootfs(self._packages)
        self._has_faketime = (rootfs / "lib/libfaketime.so.1").exists()
        return rootfs

    def _command(self) -> list[str]:
        # Not -I and not -E: they would also ignore PYTHONHASHSEED.
        return [str(self.root / "python/bin/python3"), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", BOOTSTRAP]

    def _environment(self, profile: int) -> dict[str, str]:
        """All environment variables of a worker. Profiles differ in what answers must not depend on: the hash seed and,
        if the rootfs has libfaketime, the clock."""
        variables = {
            "PYTHONHASHSEED": str(profile),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "LD_LIBRARY_PATH": str(self.root / "lib"),
            # Each malloc arena and each thread pool uses address space, which is limited.
            "MALLOC_ARENA_MAX": "2",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        if profile and self._has_faketime:
            variables |= {
                "LD_PRELOAD": str(self.root / "lib/libfaketime.so.1"),
                "FAKETIME": SHIFTED_CLOCK,
                "DONT_FAKE_MONOTONIC": "1",
            }
        return variables


def landlock_version() -> int:
    """The kernel's Landlock version; 0 if it has none."""
    create_ruleset, version = 444, 1
    return max(int(ctypes.CDLL(None).syscall(create_ruleset, None, ctypes.c_size_t(0), version)), 0)


@cache
def first_frame() -> bytes:
    """The frame that the bootstrap reads: the worker's source."""
    names = ("values", "worker")
    sources = [[f"synth.sandbox.{name}", (files("synth.sandbox") / f"{name}.py").read_text("utf-8")] for name in names]
    return frame(json.dumps(sources).encode())


def frame(body: bytes) -> bytes:
    """A message to a worker."""
    return len(body).to_bytes(4, "big") + body


def last_line(stderr: bytes | bytearray) -> str:
    """The last line that is not blank: in a traceback, the error."""
    return stderr.decode(errors="replace").strip().rpartition("\n")[2].strip()
