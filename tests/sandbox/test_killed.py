"""A program killed from outside is `killed`, with the reason if it is known, and its jail is replaced."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from synth.sandbox.verdict import Limits
from tests.jails import BlockingSandbox, living_descendants, summary_of

DOUBLE = "def f(n): return n * 2"
MEMORY = Path("/sys/fs/cgroup/memory")


# Child processes of other tests.
unrelated: set[str] = set()


@pytest.fixture
def sandbox(kind: str) -> Iterator[BlockingSandbox]:
    unrelated.update(living_descendants())
    with BlockingSandbox(kind) as sandbox:
        yield sandbox


def ours() -> set[int]:
    return {int(line.split()[0]) for line in living_descendants() if line not in unrelated}


def seconds_of(number: int) -> float:
    """The processor time of a process; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def memory_limit(size: int) -> Iterator[Path]:
    """A control group with a memory limit for the processes written to its `cgroup.procs`."""
    group = MEMORY / f"synth-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(size))
    except OSError as error:
        pytest.skip(f"memory limits are not available: {error}")
    try:
        yield group
    finally:
        for number in (group / "cgroup.procs").read_text().split():
            (MEMORY / "cgroup.procs").write_text(number)
        group.rmdir()


def test_the_kernel_kills_the_program_and_not_its_worker(sandbox: BlockingSandbox) -> None:
    assert summary_of(sandbox.run(DOUBLE, ([1], {}))) == "2"
    with memory_limit(128 << 20) as group:
        for number in ours():
            (group / "cgroup.procs").write_text(str(number))
        # Below its own limit of 512 MB, which would raise MemoryError.
        verdict = sandbox.run("def f(n):\n    return len(bytearray(n << 20))", ([16], {}), ([400], {}), ([16], {}))
        assert (verdict.status, verdict.detail) == ("killed", "the machine ran out of memory")
        assert summary_of(verdict) == f"killed; {16 << 20}; -; -"
        assert summary_of(sandbox.run(DOUBLE, ([21], {}))) == "42"


def test_a_program_killed_from_outside_is_killed_and_its_worker_replaced(sandbox: BlockingSandbox) -> None:
    workers = ours()
    with ThreadPoolExecutor() as thread:
        verdict = thread.submit(sandbox.run, "def f():\n    while True: pass", limits=Limits(seconds=30.0))
        until = time.monotonic() + 25
        # Only the program's loop takes a second; until it is in that loop, its process is still being confined.
        while not (busy := [one for one in ours() - workers if seconds_of(one) >= 1]) and time.monotonic() < until:
            time.sleep(0.05)
        (number,) = busy
        os.kill(number, signal.SIGKILL)
        assert summary_of(verdict.result()) == "killed; -"
        assert verdict.result().detail == "SIGKILL, sent neither by its limits nor by the sandbox"
    assert summary_of(sandbox.run(DOUBLE, ([21], {}))) == "42"
    assert not workers & ours()
