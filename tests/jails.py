"""Shared by tests of jails: the kinds, why one is unavailable, and a sandbox for synchronous code."""

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from threading import Thread
from typing import Any, Self, TypeVar

from msgspec.structs import replace

from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from synth.sandbox.values import shown
from synth.sandbox.verdict import Limits, Verdict
from tests import docker_engine

T = TypeVar("T")
JAILS = ["docker", "bwrap", "landlock"]


def why_not(kind: str) -> str:
    """Why this machine cannot run this kind of jail, determined without the sandbox's own checks; empty if it can."""
    if sys.platform != "linux":
        return f"{kind} is for Linux"
    if kind == "docker":
        return docker_engine.why_not()
    if kind == "bwrap":
        program = shutil.which("bwrap")
        if program is None:
            return "bubblewrap is not installed"
        tried = subprocess.run(
            [program, "--unshare-user", "--ro-bind", "/", "/", "true"], capture_output=True, check=False
        )
        return "" if tried.returncode == 0 else f"no user namespaces here: {tried.stderr.decode().strip()}"
    version = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)
    return "" if version >= 3 else "the kernel has no Landlock of version 3"


class BlockingSandbox:
    """A started sandbox for synchronous code, with its own event loop in a thread."""

    def __init__(self, kind: str, workers: int = 1, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.pool = Sandbox(kind, workers, **options)
        try:
            self.wait(self.pool.start())
        except BaseException:
            self._stop()
            raise

    def run(
        self, source: str, *inputs: tuple[list[Any], dict[str, Any]], limits: Limits = Limits(), **how: Any
    ) -> Verdict:
        """Run the program's function f, by default once without arguments."""
        program = Program.of(source, "f", inputs or [([], {})], limits)
        return self.wait(self.pool.answer(replace(program, **how)))

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self.pool.close())
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def summary_of(verdict: Verdict) -> str:
    """A verdict in a line: its status unless it is ok, then each outcome."""
    outcomes = [
        "-" if outcome is None else shown(outcome.data) if outcome.kind == "value" else f"{outcome.kind} {outcome.data}"
        for outcome in verdict.outcomes
    ]
    return "; ".join(([] if verdict.status == "ok" else [verdict.status]) + outcomes)


def living_descendants() -> list[str]:
    """The descendants of this process and the processes in containers, as "id name". Zombies do not count."""
    parents: dict[str, tuple[str, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            state, parent = rest.split()[:2]
            if state != "Z" and not name.startswith(("dockerd", "containerd")):
                parents[entry.name] = (parent, name)
    found = {str(os.getpid()), *(parents.keys() & set(docker_engine.workers()))}
    while more := {number for number, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return sorted(f"{number} {parents[number][1]}" for number in found - {str(os.getpid())})
