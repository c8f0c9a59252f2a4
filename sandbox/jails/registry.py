"""Which jails there are."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from synth.sandbox.jails import Jail
from synth.schemas.errors import SandboxUnavailable, UsageError

__all__ = ["JAILS", "automatic", "open_jail"]

# What `--jail` may name: where the class is, which is given the packages that programs may import.
JAILS = {
    "docker": "synth.sandbox.jails.docker:DockerJail",
    "bwrap": "synth.sandbox.jails.bwrap:BwrapJail",
    "landlock": "synth.sandbox.jails.landlock:LandlockJail",
}
_DOCKER_SOCKET = Path("/var/run/docker.sock")


def automatic() -> str:
    """The kind of jail for whoever names none: docker where a daemon answers that can hold one, else bwrap."""
    if "DOCKER_HOST" not in os.environ and not _DOCKER_SOCKET.exists():
        # Without importing the client, which takes longer than all the rest.
        return "bwrap"
    from synth.sandbox.jails.docker import DockerJail

    try:
        DockerJail().info()
    except SandboxUnavailable:
        return "bwrap"
    return "docker"


def open_jail(kind: str, packages: Sequence[str]) -> Jail:
    """The jail of a kind, not yet prepared. Raises `UsageError` for one that there is not."""
    if kind not in JAILS:
        raise UsageError(f"--jail {kind}: must be one of auto, {', '.join(JAILS)}")
    module, _, name = JAILS[kind].partition(":")
    jail: Jail = getattr(import_module(module), name)(packages)
    return jail
