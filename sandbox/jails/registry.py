"""The kinds of jails."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from synth.sandbox.jails import Jail
from synth.schemas.errors import SandboxUnavailable, UsageError

__all__ = ["JAILS", "automatic", "open_jail"]

# The values of `--jail`, with the module and name of the class.
JAILS = {
    "docker": "synth.sandbox.jails.docker:DockerJail",
    "bwrap": "synth.sandbox.jails.bwrap:BwrapJail",
    "landlock": "synth.sandbox.jails.landlock:LandlockJail",
}
_DOCKER_SOCKET = Path("/var/run/docker.sock")


def automatic() -> str:
    """The default kind of jail: docker if a suitable daemon answers, else bwrap."""
    if "DOCKER_HOST" not in os.environ and not _DOCKER_SOCKET.exists():
        # Saves importing the Docker client, which is slow.
        return "bwrap"
    from synth.sandbox.jails.docker import DockerJail

    try:
        DockerJail().info()
    except SandboxUnavailable:
        return "bwrap"
    return "docker"


def open_jail(kind: str, packages: Sequence[str]) -> Jail:
    """A jail of this kind, not yet prepared. Raises `UsageError` for an unknown kind."""
    if kind not in JAILS:
        raise UsageError(f"--jail {kind}: must be one of auto, {', '.join(JAILS)}")
    module, _, name = JAILS[kind].partition(":")
    jail: Jail = getattr(import_module(module), name)(packages)
    return jail
