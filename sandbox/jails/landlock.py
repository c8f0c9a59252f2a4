"""No namespaces: an ordinary user, Landlock, seccomp and limits. For inside a container, where there is nothing better.

Programs can see that files of the machine exist, and how large they are, but open none of them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.sandbox.jails import command, environment
from synth.sandbox.jails.processes import ProcessWorker, start_process
from synth.sandbox.rootfs import cached_rootfs
from synth.schemas.errors import SandboxUnavailable

__all__ = ["LandlockJail"]


class LandlockJail:
    kind = "landlock"
    remedy = "it needs Linux 6.2 or later with Landlock and seccomp"
    # Version 3 is the first that also forbids to truncate.
    landlock = 3
    # All processes of the user would count, whoever started them.
    processes: int | None = None

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._packages = packages
        self.root = Path("/")
        self._clock = False

    def prepare(self) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable(f"there is no Landlock on {sys.platform}: {self.remedy}")
        self.root = cached_rootfs(self._packages)
        self._clock = (self.root / "lib/libfaketime.so.1").exists()

    def start(self, profile: int, memory_mb: int) -> ProcessWorker:  # noqa: ARG002  rlimits do that here
        return start_process(command(self.root), environment(self.root, profile, shift_clock=self._clock))

    def identity(self) -> dict[str, Any]:
        return {}
