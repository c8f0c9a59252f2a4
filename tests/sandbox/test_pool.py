"""The pool: failures of the sandbox are not the program's, jails are replaced, and nothing outlives the host."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from docker import from_env

from synth.sandbox import filter, pool, running  # noqa: A004
from synth.sandbox.jails.processes import ProcessWorker
from synth.sandbox.jails.registry import open_jail
from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from synth.sandbox.rootfs import cached_rootfs
from synth.sandbox.running import RunningJail
from synth.sandbox.verdict import Limits, Verdict
from synth.schemas.errors import SandboxUnavailable, UsageError
from tests.jails import LentSandbox, living_descendants, told, why_not

DOUBLE = "def f(n): return n * 2"
# What other tests have left running below this process, such as the tracker of multiprocessing.
strangers: set[str] = set()


@pytest.fixture(scope="module", autouse=True)
def nobody_else() -> None:
    # What it locks, this process holds to its end.
    cached_rootfs()
    strangers.update(living_descendants())


def ours() -> list[str]:
    return [line for line in living_descendants() if line not in strangers]


@pytest.fixture(scope="module")
def lent(kind: str) -> Iterator[LentSandbox]:
    """One sandbox for many tests: none of what they do to it may be of any consequence, and it leaves no process."""
    sandbox = LentSandbox(kind)
    yield sandbox
    sandbox.take_back()
    assert living_soon() == []


def living_soon(before: Sequence[str] = ()) -> list[str]:
    """The processes below this one that were not there before, once those that were killed are gone."""
    until = time.monotonic() + 2
    while (living := sorted(set(ours()) - set(before))) and time.monotonic() < until:
        time.sleep(0.01)
    return living


def servers() -> list[int]:
    """The workers' processes: what has no children of its own among our descendants."""
    living = [int(line.split()[0]) for line in ours()]
    return [number for number in living if not set(living) & children_of(number)]


def children_of(number: int) -> set[int]:
    return set(map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split()))


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_stops_is_replaced_and_the_program_answered(
    lent: LentSandbox, way: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_GRACE_SECONDS", 0.3)
    assert told(lent.run(DOUBLE, ([1], {}))) == "2"
    (first,) = servers()
    os.kill(first, way)
    assert told(lent.run(DOUBLE, ([21], {}), limits=Limits(seconds=1.0))) == "42"
    assert told(lent.run(DOUBLE, ([22], {}))) == "44"
    (second,) = servers()
    assert second != first


def test_a_worker_killed_under_a_program_is_not_charged_to_it(lent: LentSandbox) -> None:
    async def kill_under() -> Verdict:
        asked = asyncio.create_task(
            lent.sandbox.answer(Program.of("import time\ndef f(): return time.sleep(0.4)", "f"))
        )
        await asyncio.sleep(0.1)
        busy = {int(line.split()[0]) for line in ours()}
        (server,) = [number for number in busy if len(children_of(number) & set(servers())) and number != os.getpid()][
            -1:
        ]
        os.kill(server, signal.SIGKILL)
        return await asked

    assert told(lent.wait(kill_under())) == "None"


def test_a_program_under_which_the_sandbox_fails_twice_is_quarantined(
    lent: LentSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunningJail.run
    failures = 0

    async def fail(self: RunningJail, program: Program) -> Verdict:
        nonlocal failures
        if "spell" not in program.code:
            return await run(self, program)
        failures += 1
        self.broken = True
        return Verdict("sandbox_error", (None,), "a spell")

    monkeypatch.setattr(RunningJail, "run", fail)
    verdict = lent.run("def f(): return 'spell'")
    assert (verdict.status, verdict.detail, failures) == ("quarantined", "a spell", 2)
    assert told(lent.run(DOUBLE, ([21], {}))) == "42"


def test_jails_are_replaced_after_so_many_programs(lent: LentSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_PROGRAMS_PER_JAIL", 25)
    # The programs of the self-test count, too.
    seen = set()
    for n in range(50):
        assert told(lent.run(DOUBLE, ([n], {}))) == str(2 * n)
        seen |= set(servers())
    assert len(seen) == 3


def test_many_programs_leave_the_worker_as_it_was(lent: LentSandbox) -> None:
    def state() -> tuple[int, int, int]:
        (server,) = servers()
        status = Path(f"/proc/{server}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0])
        return resident, len(living_descendants()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    programs = [DOUBLE] * 6 + ["import os\ndef f(n): os.abort()"]
    for source in programs * 10:
        lent.run(source, ([1], {}))
    before = state()
    for source in programs * 60:
        lent.run(source, ([1], {}))
    after = state()
    assert after[0] < before[0] * 1.1
    assert after[1:] == before[1:]


def test_other_profiles_hash_and_draw_otherwise(lent: LentSandbox) -> None:
    source = "import random\ndef f(): return hash('a'), random.random()"
    runs = [told(lent.run(source, profile=profile)) for profile in (0, 1, 2, 0, 1, 2)]
    assert len(set(runs)) == 3
    assert runs[:3] == runs[3:]


def test_reversed_inputs_come_back_in_their_order(lent: LentSandbox) -> None:
    source = "seen = []\ndef f(n):\n    seen.append(n)\n    return seen"
    assert told(lent.run(source, ([1], {}), ([2], {}), reverse=True)) == "[2, 1]; [2]"
    assert told(lent.run(source, ([1], {}), ([2], {}))) == "[1]; [1, 2]"


def test_a_program_that_may_have_more_memory_gets_it(lent: LentSandbox) -> None:
    much = "def f(): return len(bytearray(700 << 20))"
    assert told(lent.run(much)) == "exception MemoryError"
    assert told(lent.run(much, limits=Limits(memory_mb=1024))) == str(700 << 20)


def test_arguments_arrive_as_they_were(lent: LentSandbox) -> None:
    args: list[Any] = [1, 2.5, float("inf"), {"a": {1, 2}}, (1,), b"\0", 2**70, "\ud800"]
    verdict = lent.run("def f(*args, **named): return list(args), named", (args, {"key": frozenset("ab")}))
    assert told(verdict) == f"({args!r}, {{'key': frozenset({{'a', 'b'}})}})"


def test_what_is_too_large_is_refused_without_being_run(lent: LentSandbox) -> None:
    assert told(lent.run("#" * 10_000_000)) == "refused; -"
    many: list[tuple[list[Any], dict[str, Any]]] = [(["x" * 50_000], {}) for _ in range(6)]
    assert lent.run(DOUBLE, *many).detail == "the inputs are longer than 262144 bytes"
    assert lent.run(DOUBLE, ([object()], {})).detail == "an input is no plain value: object"


def test_identity_says_what_outputs_depend_on(lent: LentSandbox, kind: str) -> None:
    identity = lent.sandbox.record()
    assert identity["jail"] == kind
    assert identity["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"tier", "platform", "limits", "filter", "packages"} <= set(identity)


def test_a_jail_without_a_filter_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = filter.compiled_filters()
    let_all_through = (0x06).to_bytes(2, sys.byteorder) + bytes(2) + (0x7FFF0000).to_bytes(4, sys.byteorder)
    monkeypatch.setattr(
        pool, "compiled_filters", lambda: filter.Filters(let_all_through, let_all_through, compiled.digest)
    )
    before = living_descendants()
    with pytest.raises(SandboxUnavailable, match="is not safe here"):
        LentSandbox(kind)
    assert living_soon(before) == []


def test_a_filter_that_the_kernel_refuses_is_told(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "compiled_filters", lambda: filter.Filters(b"\xff" * 8, b"\xff" * 8, ""))
    before = living_descendants()
    with pytest.raises(SandboxUnavailable, match="prctl"):
        LentSandbox(kind)
    assert living_soon(before) == []


def test_a_jail_that_needs_more_landlock_than_there_is_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_jail

    def demanding(kind: str, packages: Any) -> Any:
        jail = opened(kind, packages)
        jail.landlock = 99
        return jail

    monkeypatch.setattr(pool, "open_jail", demanding)
    with pytest.raises(SandboxUnavailable, match="needs Landlock 99"):
        LentSandbox(kind)


def test_another_python_in_the_jail_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version", "3.99")
    with pytest.raises(SandboxUnavailable, match=r"where synth runs 3\.99"):
        LentSandbox(kind)


def test_there_is_no_sandbox_without_a_jail() -> None:
    with pytest.raises(UsageError, match="--jail none: must be one of auto, docker"):
        LentSandbox("none")


def test_without_bwrap_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        LentSandbox("bwrap")


def test_closing_cancels_what_is_under_way(kind: str) -> None:
    async def close_under() -> list[Any]:
        sandbox = Sandbox(kind, 1)
        await sandbox.start()
        tasks = [
            asyncio.create_task(sandbox.answer(Program.of("def f():\n    while True: pass", "f"))) for _ in range(3)
        ]
        await asyncio.sleep(0.2)
        await sandbox.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    before, descriptors = living_descendants(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert [type(end) for end in asyncio.run(close_under())] == [asyncio.CancelledError] * 3
    assert living_soon(before) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_a_worker_killed_at_once_leaves_nothing(kind: str) -> None:
    jail = open_jail(kind, ())
    jail.prepare()
    before = living_descendants()
    workers = []
    for number in range(5 if kind == "docker" else 20):
        workers.append(jail.start(0, 512))
        # At many moments of its first milliseconds.
        time.sleep(number / 4000)
        workers[-1].kill()
    assert living_soon(before) == []
    assert stuck() == []


def test_a_container_whose_host_was_killed_before_it_started_is_removed_at_the_next_start(kind: str) -> None:
    if kind != "docker":
        pytest.skip("only Docker keeps what was never started")
    host = """
import os, signal
from synth.sandbox.jails import docker
jail = docker.DockerJail()
jail.prepare()
docker.DockerWorker = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
jail.start(0, 512)
"""
    with closing(from_env()) as engine:
        before = {container.id for container in engine.containers.list(all=True)}
        subprocess.run([sys.executable, "-c", host], cwd=Path(__file__).parents[2], check=False)
        open_jail("docker", ()).prepare()
        assert {container.id for container in engine.containers.list(all=True)} <= before


def test_what_bwrap_leaves_behind_is_cleared_away_at_the_next_start() -> None:
    if reason := why_not("bwrap"):
        pytest.skip(reason)
    jail = open_jail("bwrap", ())
    jail.prepare()
    for number in range(20):
        worker = jail.start(0, 512)
        assert isinstance(worker, ProcessWorker)
        time.sleep(number / 4000)
        # As when a host is killed: bwrap alone dies.
        worker.process.kill()
        worker.process.wait()
        worker.kill()
    jail.prepare()
    assert stuck() == []


def stuck() -> list[str]:
    """The bwraps that nobody started: what their own parents left behind."""
    found: list[str] = []
    until = time.monotonic() + 2
    while time.monotonic() < until:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                name, state, parent = re.findall(r"\((.*)\) (\S) (\d+)", path.read_text())[0]
                if name == "bwrap" and state != "Z" and parent == "1":
                    found.append(path.parent.name)
        if not found:
            break
    return found


def test_nothing_outlives_a_host_that_is_killed(kind: str) -> None:
    host = """
import asyncio, sys
from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
async def main():
    async with Sandbox(sys.argv[1], 2) as sandbox:
        ends = [sandbox.answer(Program.of("def f():\\n    while True: pass", "f")) for _ in range(2)]
        asyncio.get_running_loop().call_later(0.5, lambda: print("busy", flush=True))
        await asyncio.gather(*ends)
asyncio.run(main())
"""
    before = living_descendants()
    with subprocess.Popen(
        [sys.executable, "-c", host, kind], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        started = [int(line.split()[0]) for line in set(living_descendants()) - set(before)]
        started.remove(process.pid)
        assert len(started) >= 2
        process.kill()
    until = time.monotonic() + 2
    while (left := [number for number in started if alive(number)]) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == []


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
