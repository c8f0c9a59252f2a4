"""Which jails there are."""

import os
from collections.abc import Sequence
from pathlib import Path

from synth.sandbox.jails import Jail
from synth.schemas.errors import SandboxUnavailable, UsageError

__all__ = ["automatic", "open_jail"]

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
    match kind:
        case "docker":
            from synth.sandbox.jails.docker import DockerJail

            return DockerJail(packages)
        case "bwrap":
            from synth.sandbox.jails.bwrap import BwrapJail

            return BwrapJail(packages)
        case "landlock":
            from synth.sandbox.jails.landlock import LandlockJail

            return LandlockJail(packages)
    raise UsageError(f"--jail {kind}: there is no such jail, choose docker, bwrap or landlock")
