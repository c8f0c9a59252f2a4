"""The self-test that a jail must pass before it runs any program: a dozen programs, one second.

It detects missing barriers (a kernel without the feature, a runtime that ignores an option). Holes in existing barriers
are left to tests/hostile.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from synth.sandbox.program import Program
from synth.sandbox.values import encode
from synth.sandbox.verdict import Limits, Outcome, Verdict
from synth.schemas.errors import SandboxUnavailable

__all__ = ["prove"]

LIMITS = Limits(seconds=10.0, memory_mb=256)


@dataclass(frozen=True)
class Probe:
    """A program with a function f() and the expected value, exception or status."""

    name: str
    source: str
    value: object = None
    exception: str = ""
    status: str = "ok"
    limits: Limits = LIMITS


_TRY = '''
def tried(*calls):
    """The names of those that did not fail."""
    done = []
    for name, call in calls:
        try:
            call()
            done.append(name)
        except OSError:
            pass
    return done
'''
_CANARY = "def f(): return [i * i for i in range(4)], {'a': 1.5}"
_PROBES = [
    Probe("a harmless program", _CANARY, value=([0, 1, 4, 9], {"a": 1.5})),
    Probe("fork", "import os\ndef f():\n    if not os.fork(): os._exit(0)", exception="PermissionError"),
    Probe("running a command", "import os\ndef f(): os.execv('/bin/sh', ['sh'])", exception="PermissionError"),
    Probe(
        "signals",
        f"import os, signal\n{_TRY}\ndef f(): return tried(*((p, lambda p=p: os.kill(p, 0)) for p in "
        "(1, os.getppid(), os.getpid(), -1)))",
        value=[],
    ),
    Probe(
        "descriptors of the worker",
        f"import os\n{_TRY}\ndef f(): return tried(*((n, lambda n=n, w=w: os.open(n, w)) for p in (1, os.getppid()) "
        "for d in range(64) for w in (os.O_RDONLY, os.O_WRONLY) for n in ['/proc/%d/fd/%d' % (p, d)]))",
        value=[],
    ),
    Probe(
        "descriptors left open",
        f"import os\n{_TRY}\ndef f(): return tried(*((n, lambda n=n: os.fstat(n)) for n in range(1024)))",
        value=[0, 1, 2, 3],
    ),
    Probe("sockets", "import socket\ndef f(): socket.socket()", exception="PermissionError"),
    Probe(
        "writing",
        f"{_TRY}\ndef f(): return tried(*((n, lambda n=n: open(n, 'w')) for n in "
        "('/x', '/tmp/x', '/dev/shm/x', '/dev/null', '/var/tmp/x', 'x')))",
        value=[],
    ),
    Probe(
        "reading outside",
        f"import os\n{_TRY}\ndef f(): return tried(*((n, lambda n=n: os.open(n, 0)) for n in ('/', '/etc', "
        "'/etc/passwd', '/etc/hostname', '/proc', '/proc/self/environ', '/proc/1/environ', '/sys', '/root', '/home', "
        "'/dev/mem', '/var/run/docker.sock')))",
        value=[],
    ),
    Probe(
        "the environment of the host",
        "import os\ndef f(): return sorted(n for n in os.environ if n in ('HOME', 'PATH', 'USER', 'SHELL', 'PWD'))",
        value=[],
    ),
    Probe(
        "raising its limits",
        "import resource as r\ndef f(): r.setrlimit(r.RLIMIT_AS, (-1, -1))",
        exception="ValueError",
    ),
    Probe(
        "unbounded memory",
        "def f():\n    a = []\n    while True: a.append(' ' * 1_000_000)",
        exception="MemoryError",
    ),
    Probe(
        "an endless loop",
        "def f():\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        status="timeout",
        limits=Limits(seconds=0.3),
    ),
    Probe(
        "a forged answer",
        "import os\ndef f():\n    os.write(3, b'\\0\\0\\0\\7[0,0,9]')\n    os._exit(0)",
        value=9,
    ),
    Probe(
        "invalid answers",
        "import os\ndef f():\n    os.write(3, b'x' * 99)\n    os._exit(0)",
        status="malformed",
    ),
    Probe("a harmless program after these", _CANARY, value=([0, 1, 4, 9], {"a": 1.5})),
]

Run = Callable[[Program], Awaitable[Verdict]]


async def prove(kind: str, run: Run) -> None:
    """Run all probes in one worker, so that the last one detects leftovers of the others.

    Raises `SandboxUnavailable` at the first failure.
    """
    for probe in _PROBES:
        verdict = await run(Program.of(probe.source, "f", limits=probe.limits))
        expected: tuple[Outcome | None, ...] = (None,)
        if probe.exception:
            expected = (Outcome("exception", probe.exception),)
        elif probe.status == "ok":
            expected = (Outcome("value", encode(probe.value)),)
        if verdict.status != probe.status or verdict.outcomes != expected:
            found = f"{verdict.status} {verdict.detail} {[o and o.data for o in verdict.outcomes]}"
            raise SandboxUnavailable(f"the {kind} jail is not safe here ({probe.name}: {found}): use another --jail")
