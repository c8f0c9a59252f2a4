"""Bubblewrap: a jail of separate namespaces (users, processes, network, mounts, IPC), without a daemon.

The worker is process 1 of its namespace: signals from inside do not reach it, and when it dies the kernel kills the
other processes. Only the rootfs (read-only) and /dev/null are mounted: no /proc, no /tmp, nothing writable.
"""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from synth.sandbox.jails import NOBODY, Jail
from synth.sandbox.jails.processes import ProcessWorker, start_process
from synth.schemas.errors import SandboxUnavailable

__all__ = ["BwrapJail"]

_OPTIONS = [
    "--unshare-all",
    "--unshare-user",
    "--disable-userns",
    "--as-pid-1",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    *("--cap-drop", "ALL"),
    # As in the other jails when root starts them.
    *("--uid", str(NOBODY), "--gid", str(NOBODY)),
    *("--hostname", "jail"),
]


class BwrapJail(Jail):
    kind = "bwrap"
    remedy = (
        "apt-get install bubblewrap (0.8 or later), allow user namespaces (sysctl kernel.unprivileged_userns_clone=1"
        " kernel.apparmor_restrict_unprivileged_userns=0), or start Docker"
    )
    # Counted per user namespace.
    processes = 64
    _bwrap: Sequence[str] = ()

    def prepare(self) -> None:
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxUnavailable(f"bwrap is not installed: {self.remedy}")
        mounts = ["--ro-bind", str(self._cached_rootfs()), "/", "--dev-bind", "/dev/null", "/dev/null", "--chdir", "/"]
        self._bwrap = [program, *_OPTIONS, *mounts]
        _reap(self._bwrap)

    def start(self, profile: int, memory_mb: int) -> ProcessWorker:  # noqa: ARG002  rlimits bound the memory
        settings = [part for pair in self._environment(profile).items() for part in ("--setenv", *pair)]
        return start_process([*self._bwrap, *settings, "--", *self._command()], {})


def _reap(bwrap: Sequence[str]) -> None:
    """Kill orphans of a bwrap that was killed before its child's life was tied to its own.

    Such a child waits for its parent forever. It has the same command line, is already in a PID namespace, and its
    parent is not such a bwrap.
    """
    start = "\0".join(bwrap).encode() + b"\0"
    for entry in Path("/proc").iterdir():
        # It may have ended, or belong to another user.
        with suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(start):
                status = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
                parent = Path("/proc", status["PPid"].strip(), "cmdline").read_bytes()
                if len(status["NSpid"].split()) > 1 and not parent.startswith(start):
                    os.kill(int(entry.name), signal.SIGKILL)
