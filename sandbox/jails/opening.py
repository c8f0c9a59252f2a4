"""Which jails there are."""

from collections.abc import Sequence

from sandbox.jails import Jail
from schemas.errors import UsageError

__all__ = ["open_jail"]


def open_jail(kind: str, packages: Sequence[str]) -> Jail:
    """The jail of a kind, not yet prepared. Raises `UsageError` for one that there is not."""
    match kind:
        case "docker":
            from sandbox.jails.docker import DockerJail

            return DockerJail(packages)
        case "bwrap":
            from sandbox.jails.bwrap import BwrapJail

            return BwrapJail(packages)
        case "landlock":
            from sandbox.jails.landlock import LandlockJail

            return LandlockJail(packages)
    raise UsageError(f"--jail {kind}: there is no such jail, choose docker, bwrap or landlock")
