"""No namespaces: an ordinary user, Landlock, seccomp and limits. For use inside containers that allow nothing better.

Programs can see the names and sizes of the machine's files, but open none of them.
"""

import sys

from synth.sandbox.jails import Jail
from synth.sandbox.jails.processes import ProcessWorker, start_process
from synth.schemas.errors import SandboxUnavailable

__all__ = ["LandlockJail"]


class LandlockJail(Jail):
    kind = "landlock"
    remedy = "it needs Linux 6.2 or later with Landlock and seccomp"
    # Version 3 is the first that also forbids truncation.
    landlock = 3

    def prepare(self) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable(f"there is no Landlock on {sys.platform}: {self.remedy}")
        self.root = self._cached_rootfs()

    def start(self, profile: int, memory_mb: int) -> ProcessWorker:  # noqa: ARG002  rlimits bound the memory
        return start_process(self._command(), self._environment(profile))
