"""The verdict on each program and its detail, which are the same in every jail."""

import re
from collections.abc import Iterator

import pytest

from synth.sandbox import running
from synth.sandbox.jails import first_frame, frame
from synth.sandbox.verdict import Limits
from tests.jails import BlockingSandbox, living_descendants, summary_of

LIMITS = Limits(seconds=10.0, memory_mb=256)
SHORT = Limits(seconds=0.5, memory_mb=256)
PACKAGE = ": --jail-package lets programs import a package that is installed beside synth"
LEFT_OUT = ": jails do not have this part of the standard library"


def body(*lines: str) -> str:
    return "import os, sys, time, signal, socket, threading, ctypes\ndef f(n):\n" + "".join(
        f"    {line}\n" for line in lines
    )


# The summary of the verdict and its detail, by program.
ENDS = {
    body("return n"): ("0; 1", ""),
    body("raise KeyError"): ("exception KeyError; exception KeyError", ""),
    # Exits.
    body("sys.exit(3)"): ("exception SystemExit; exception SystemExit", ""),
    body("os._exit(0)"): ("missing; -; -", "it ended with exit code 0 in call 1 of 2"),
    body("if n: os._exit(7)"): ("missing; None; -", "it ended with exit code 7 in call 2 of 2"),
    "import os\nos._exit(7)": ("missing; -; -", "it ended with exit code 7 while it was loaded"),
    "raise SystemExit(3)\ndef f(n): pass": ("load_error; -; -", "SystemExit"),
    # Answers.
    body("os.close(3)"): ("missing; -; -", "it could not write an answer in call 1 of 2"),
    "import os\nos.close(3)\ndef f(n): pass": ("missing; -; -", "it could not write an answer while it was loaded"),
    body("if n: socket.socket(fileno=3).shutdown(2)"): (
        "missing; None; -",
        "it could not write an answer in call 2 of 2",
    ),
    body("while True: os.write(3, bytes(65536))"): ("output_limit; -; -", "more than 1000000 bytes of answers"),
    body("return 'x' * 10_000_000"): ("unencodable too long; unencodable too long", ""),
    body("return object()"): ("unencodable object; unencodable object", ""),
    body("os.write(3, b'x' * 9)"): ("malformed; -; -", "a frame that is cut short, too long, or one too many"),
    # Signals.
    body("os.abort()"): ("crashed; -; -", "SIGABRT"),
    body("ctypes.string_at(0)"): ("crashed; -; -", "SIGSEGV"),
    body("ctypes.CDLL(None).ptrace(0, 0, 0, 0)"): ("crashed; -; -", "SIGSYS"),
    body("signal.setitimer(signal.ITIMER_REAL, 0.01)", "time.sleep(9)"): ("crashed; -; -", "SIGALRM"),
    # Forbidden calls fail without ending the program.
    body("os.kill(os.getpid(), signal.SIGKILL)"): ("exception PermissionError; exception PermissionError", ""),
    body("os.kill(os.getppid(), signal.SIGKILL)"): ("exception PermissionError; exception PermissionError", ""),
    body("open('/tmp/x', 'w')"): ("exception PermissionError; exception PermissionError", ""),
    body("os.fork()"): ("exception PermissionError; exception PermissionError", ""),
    body("for _ in range(999): threading.Thread(target=time.sleep, args=(9,)).start()"): (
        "exception RuntimeError; exception RuntimeError",
        "",
    ),
    # Memory and depth.
    body("return bytearray(1 << 40)"): ("exception MemoryError; exception MemoryError", ""),
    body("held = []", "while True: held.append(' ' * 1_000_000)"): (
        "exception MemoryError; exception MemoryError",
        "",
    ),
    body("return f(n)"): ("exception RecursionError; exception RecursionError", ""),
    # Load errors.
    "x = 1\ndef f(:": ("load_error; -; -", "SyntaxError: invalid syntax (line 2)"),
    "def f(n): return 1\0": ("load_error; -; -", "*: source code string cannot contain null bytes"),
    "def f(n): return '\ud800'": ("load_error; -; -", "UnicodeEncodeError: *"),
    "raise ImportError('a\\udfff')\ndef f(n): pass": ("load_error; -; -", "ImportError: a\\udfff"),
    "x = 1 / 0\ndef f(n): pass": ("load_error; -; -", "ZeroDivisionError"),
    "def g(n): pass": ("load_error; -; -", "it has no function f"),
    "import numpy\ndef f(n): pass": ("load_error; -; -", f"ModuleNotFoundError: No module named 'numpy'{PACKAGE}"),
    "import numpy.linalg\ndef f(n): pass": (
        "load_error; -; -",
        f"ModuleNotFoundError: No module named 'numpy'{PACKAGE}",
    ),
    "import tkinter\ndef f(n): pass": ("load_error; -; -", f"ModuleNotFoundError: No module named 'tkinter'{LEFT_OUT}"),
    "import json.nothing\ndef f(n): pass": ("load_error; -; -", "ModuleNotFoundError: No module named 'json.nothing'"),
    "from math import pie\ndef f(n): pass": (
        "load_error; -; -",
        "ImportError: cannot import name 'pie' from 'math' (*",
    ),
    body("import numpy"): ("exception ModuleNotFoundError; exception ModuleNotFoundError", ""),
}
ENDLESS = {
    "while True: pass\ndef f(n): pass": ("timeout; -; -", "0.5 s had passed while it was loaded"),
    body("while n: pass"): ("timeout; None; -", "0.5 s had passed in call 2 of 2"),
    body("time.sleep(99)"): ("timeout; -; -", "0.5 s had passed in call 1 of 2"),
    body("os.close(3)", "while True: pass"): ("no_exit; -; -", ""),
}


@pytest.mark.parametrize("source", ENDS)
def test_a_program_that_ends(sandbox: BlockingSandbox, source: str) -> None:
    verdict = sandbox.run(source, ([0], {}), ([1], {}), limits=LIMITS)
    summary, detail = ENDS[source]
    assert summary_of(verdict) == summary
    start, star, end = detail.partition("*")
    assert verdict.detail == detail or (star and verdict.detail.startswith(start) and verdict.detail.endswith(end))


@pytest.mark.parametrize("source", ENDLESS)
def test_a_program_that_does_not_end(sandbox: BlockingSandbox, source: str) -> None:
    verdict = sandbox.run(source, ([0], {}), ([1], {}), limits=SHORT)
    assert (summary_of(verdict), verdict.detail) == ENDLESS[source]


BURN = "import signal, threading\ndef burn():\n    while True: pass\n"
BURNING = {
    "in one thread": "def f(n): burn()",
    "in several threads": "def f(n):\n    for _ in range(4): threading.Thread(target=burn).start()\n    burn()",
    "ignoring the signal": "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\ndef f(n): burn()",
    "blocking the signal": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ndef f(n): burn()",
    "catching the signal": "signal.signal(signal.SIGXCPU, lambda *_: 1 / 0)\ndef f(n):\n"
    "    while True:\n        try: burn()\n        except ZeroDivisionError: pass",
}


@pytest.fixture(scope="module")
def hurried(kind: str) -> Iterator[BlockingSandbox]:
    """A sandbox in which programs have one second of CPU time and thirty seconds of wall-clock time."""
    with pytest.MonkeyPatch.context() as patch:
        worker = first_frame()[4:].decode()
        assert worker.count("PROCESSOR_SECONDS = 2") == 1
        changed = frame(worker.replace("PROCESSOR_SECONDS = 2", "PROCESSOR_SECONDS = -29").encode())
        patch.setattr(running, "first_frame", lambda: changed)
        patch.setattr("synth.sandbox.selftest.LIMITS", Limits(seconds=30.0))
        patch.setattr("synth.sandbox.selftest._PROBES", [])
        with BlockingSandbox(kind) as sandbox:
            yield sandbox


@pytest.mark.parametrize("how", BURNING)
def test_cpu_time_is_limited(hurried: BlockingSandbox, how: str) -> None:
    verdict = hurried.run(BURN + BURNING[how], ([0], {}), limits=Limits(seconds=30.0))
    assert summary_of(verdict) == "timeout; -"
    assert re.fullmatch("it had used [12] s of processor time in call 1 of 1", verdict.detail)
    assert verdict.cpu_seconds < 3
    assert verdict.wall_seconds < 29


def test_a_program_that_exceeds_its_cpu_time_does_not_cost_a_jail(hurried: BlockingSandbox) -> None:
    before = living_descendants()
    hurried.run(BURN + BURNING["ignoring the signal"], ([0], {}), limits=Limits(seconds=30.0))
    assert summary_of(hurried.run("def f(n): return n * 2", ([21], {}))) == "42"
    assert living_descendants() == before
