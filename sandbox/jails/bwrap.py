"""Bubblewrap: a jail of namespaces of its own (users, processes, network, files, IPC), without a daemon.

The worker is process 1 of its namespace: signals from inside do not reach it, and when it dies the kernel kills what
is left. Nothing is mounted but the rootfs, read-only, and /dev/null; no /proc, no /tmp, nothing to write to.
"""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from synth.sandbox.jails import NOBODY, command, environment
from synth.sandbox.jails.processes import ProcessWorker, start_process
from synth.sandbox.rootfs import cached_rootfs
from synth.schemas.errors import SandboxUnavailable

__all__ = ["BwrapJail"]

_WALLS = [
    "--unshare-all",
    "--unshare-user",
    "--disable-userns",
    "--as-pid-1",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    *("--cap-drop", "ALL"),
    # As in the other jails that root starts.
    *("--uid", str(NOBODY), "--gid", str(NOBODY)),
    *("--hostname", "jail"),
]


class BwrapJail:
    """Started by root it gives up root first; an ordinary user starts it as it is."""

    kind = "bwrap"
    remedy = (
        "apt-get install bubblewrap (0.8 or later), allow user namespaces (sysctl kernel.unprivileged_userns_clone=1"
        " kernel.apparmor_restrict_unprivileged_userns=0), or start Docker"
    )
    landlock = 0
    root = Path("/")
    # Counted for each user namespace alone.
    processes: int | None = 64

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._packages = packages
        self._program: list[str] = []
        self._clock = False

    def prepare(self) -> None:
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxUnavailable(f"bwrap is not installed: {self.remedy}")
        rootfs = cached_rootfs(self._packages)
        self._clock = (rootfs / "lib/libfaketime.so.1").exists()
        mounts = ["--ro-bind", str(rootfs), "/", "--dev-bind", "/dev/null", "/dev/null", "--chdir", "/"]
        self._program = [program, *_WALLS, *mounts]
        _reap(self._program)

    def start(self, profile: int, memory_mb: int) -> ProcessWorker:  # noqa: ARG002  rlimits do that here
        shown = environment(self.root, profile, shift_clock=self._clock)
        settings = [part for name, value in shown.items() for part in ("--setenv", name, value)]
        return start_process([*self._program, *settings, "--", *command(self.root)], {})

    def identity(self) -> dict[str, Any]:
        return {}


def _reap(program: list[str]) -> None:
    """Kill what is left of jails whose bwrap was killed in its first moments, before its child was tied to it.

    Such a child waits for ever for a word from its parent. It is known by its command line, by being in a namespace of
    processes already, and by a parent that is no such bwrap.
    """
    start = "\0".join(program).encode() + b"\0"
    for entry in Path("/proc").iterdir():
        # It may be gone by now, or somebody else's.
        with suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(start):
                status = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
                parent = Path("/proc", status["PPid"].strip(), "cmdline").read_bytes()
                if len(status["NSpid"].split()) > 1 and not parent.startswith(start):
                    os.kill(int(entry.name), signal.SIGKILL)
