"""Locks on files, which a process holds until it closes them or dies.

They keep processes from doing the same work. Where rows are at stake nothing relies on them: on a network file system,
machines may not see one another's locks.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from synth.schemas.layout import PartialLayout
from synth.schemas.slices import Slice

__all__ = ["is_locked", "lock", "lock_alone", "running_slices", "turn"]


def lock(path: Path, *, shared: bool = False) -> int | None:
    """Lock a file, which is created; None if another process has locked it.

    A `shared` lock excludes only those that are not. Close the descriptor to release it. Raises `OSError` where files
    cannot be created or locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        # The previous owner may have removed the file that was locked.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
    except BlockingIOError:
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def lock_alone(descriptor: int) -> bool:
    """Make a lock exclude all others; False, and it may be lost, if another process has a shared one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether a process has locked this file, other than shared. It need not exist."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def running_slices(partial: PartialLayout) -> list[Slice]:
    """Those that a process is working on."""
    return [one for one in partial.slices() if is_locked(partial.slice(one).lock)]


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Within the block, have the file locked, after waiting for those that have it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
