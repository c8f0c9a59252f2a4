"""Tests that need more than one program: concurrent jails, leftovers, every system call, a listening host."""

import asyncio
import os
import re
import socket
import subprocess
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from synth.sandbox.filter import ALLOWED, DEADLY
from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from synth.sandbox.verdict import Limits
from tests.hostile.channel import STEAL
from tests.hostile.resources import LIST_BOMB
from tests.jails import JAILS, BlockingSandbox, summary_of, why_not

# Every call with all bits of its arguments set: calls that pass the filter fail with another error than EPERM.
SWEEP = """
import ctypes
def f(left_out):
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    reached = []
    for number in range(480):
        if number not in left_out:
            ctypes.set_errno(0)
            syscall(number, *[ctypes.c_long(-1)] * 6)
            if ctypes.get_errno() != 1:
                reached.append(number)
    return reached
"""
# These end or stop the caller; 334 to 336 bypass filters, and are useless.
NEVER_TRIED = ["exit", "exit_group", "pause", "rt_sigreturn", "restart_syscall", "rseq"]
TRAMPOLINES = [334, 335, 336]
# The filter answers clone3 with ENOSYS. Other calls that it allows for some arguments fail with all bits set.
ANSWERS_ENOSYS = ["clone3"]


def test_a_bomb_does_not_affect_other_jails(jail: BlockingSandbox) -> None:
    async def both() -> list[str]:
        async with Sandbox(jail.pool.identity()["jail"], workers=2) as sandbox:
            limits = Limits(seconds=8.0, memory_mb=256)
            bombs = [sandbox.answer(Program.of(LIST_BOMB, "f", limits=limits)) for _ in range(3)]
            canaries = [sandbox.answer(Program.of("def f(): return 42", "f")) for _ in range(3)]
            return [summary_of(verdict) for verdict in await asyncio.gather(*bombs, *canaries)]

    assert asyncio.run(both()) == ["exception MemoryError"] * 3 + ["42"] * 3


def test_only_the_listed_calls_reach_the_kernel(jail: BlockingSandbox) -> None:
    seccomp = import_module("pyseccomp")

    def numbers(names: str | list[str]) -> set[int]:
        listed = names.split() if isinstance(names, str) else names
        return {n for name in listed if (n := seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)) >= 0}

    left_out = sorted(numbers(NEVER_TRIED) | numbers(DEADLY) | set(TRAMPOLINES))
    verdict = jail.run(SWEEP, ([left_out], {}))
    assert verdict.status == "ok"
    assert verdict.outcomes[0] is not None
    reached = set(verdict.outcomes[0].data)
    assert reached <= numbers(ALLOWED) | numbers(ANSWERS_ENOSYS)
    assert len(reached) > 60


def test_no_answer_is_taken_back_and_no_program_runs_twice(jail: BlockingSandbox) -> None:
    """Many programs try to read back, by name, the bytes that their worker waits for."""
    seen = Counter(summary_of(jail.run(STEAL, ([n], {}))) == str(n) for n in range(400))
    assert seen == {True: 400}


def test_every_deadly_call_kills(jail: BlockingSandbox) -> None:
    seccomp = import_module("pyseccomp")
    for name in DEADLY.split():
        number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
        verdict = jail.run("import ctypes\ndef f(n): ctypes.CDLL(None).syscall(n, 0, 0, 0, 0, 0, 0)", ([number], {}))
        assert (name, verdict.status, verdict.detail) == (name, "crashed", "SIGSYS")


def test_a_listening_host_receives_no_connection(jail: BlockingSandbox, tmp_path: Path) -> None:
    addresses: list[tuple[socket.AddressFamily, Any]] = [
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(tmp_path / "socket")),
        (socket.AF_UNIX, f"\0a socket of the host {os.getpid()}"),
    ]
    listeners = []
    for family, address in addresses:
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
        listeners.append(listener)
    (tmp_path / "socket").chmod(0o777)
    source = """
import socket
def f(family, address):
    address = address if family == 1 else tuple(address)
    try:
        with socket.socket(family) as s: s.connect(address)
    except OSError:
        a, _ = socket.socketpair()
        try: a.connect(address if family == 1 else 'x')
        except OSError: return 'refused'
    return 'connected'
"""
    for listener in listeners:
        with listener:
            name = listener.getsockname()
            address = name.decode() if isinstance(name, bytes) else list(name) if isinstance(name, tuple) else name
            assert summary_of(jail.run(source, ([int(listener.family), address], {}))) == "'refused'"
            with pytest.raises(BlockingIOError):
                listener.accept()


READ = """
import os
def f(process):
    read = []
    for name in 'cmdline environ status stat maps comm mounts net/tcp cgroup fdinfo/0 fd/0'.split():
        try: read.append(os.open(f'/proc/{process}/{name}', os.O_RDONLY))
        except OSError: pass
    for name in 'exe cwd root fd/0 ns/net'.split():
        try: read.append(os.readlink(f'/proc/{process}/{name}'))
        except OSError: pass
    return read
"""


def test_processes_of_the_host_cannot_be_read(jail: BlockingSandbox) -> None:
    """Not even one of the same user with a known id."""
    with subprocess.Popen(["sleep", "60"], user=65534 if os.geteuid() == 0 else None) as stranger:
        try:
            assert summary_of(jail.run(READ, ([os.getpid()], {}), ([stranger.pid], {}))) == "[]; []"
        finally:
            stranger.kill()


LEAVE = """
import fcntl, os, socket
def f():
    left = []
    for name, call in {
        'lock': lambda: fcntl.flock(os.open(os.__file__, 0), fcntl.LOCK_EX),
        'range': lambda: fcntl.lockf(os.open(os.__file__, 0), fcntl.LOCK_SH),
        'name': lambda: socket.socket(socket.AF_UNIX).bind('\\0left'),
        'memory': lambda: os.open('/dev/shm/left', os.O_CREAT | os.O_RDWR),
        'time': lambda: os.utime(os.__file__),
        'priority': lambda: os.setpriority(os.PRIO_USER, 0, 19),
        'affinity': lambda: os.sched_setaffinity(os.getppid(), {0}),
    }.items():
        try:
            call()
            left.append(name)
        except OSError:
            pass
    return left
"""


@pytest.mark.parametrize("kind", JAILS)
def test_nothing_passes_from_jail_to_jail(kind: str) -> None:
    """No place is writable in which one jail could leave something for another."""
    if reason := why_not(kind):
        pytest.skip(reason)

    async def both() -> list[str]:
        async with Sandbox(kind, workers=2) as sandbox:
            answers = await asyncio.gather(*(sandbox.answer(Program.of(LEAVE, "f")) for _ in range(4)))
            return [summary_of(verdict) for verdict in answers]

    assert asyncio.run(both()) == ["[]"] * 4


def test_time_and_memory_are_measured_from_outside(jail: BlockingSandbox) -> None:
    source = (
        "import time\ntime.monotonic = time.time = lambda: 0\ndef f(): return len([0] * 5_000_000), time.sleep(0.2)"
    )
    verdict = jail.run(source)
    assert re.fullmatch(r"\(5000000, None\)", summary_of(verdict))
    assert verdict.wall_seconds > 0.2
    assert verdict.max_rss_kb > 40_000
    assert verdict.cpu_seconds < verdict.wall_seconds
