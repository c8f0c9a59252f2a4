"""The pool: programs are not blamed for failures of the sandbox, jails are replaced, and nothing outlives the host."""

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
from tests.jails import BlockingSandbox, living_descendants, summary_of, why_not

DOUBLE = "def f(n): return n * 2"
# Child processes of other tests, such as the resource tracker of multiprocessing.
unrelated: set[str] = set()


@pytest.fixture(scope="module", autouse=True)
def ignore_unrelated_processes() -> None:
    # Keeps its lock open until this process ends, so tests that count descriptors need it beforehand.
    cached_rootfs()
    unrelated.update(living_descendants())


def ours() -> list[str]:
    return [line for line in living_descendants() if line not in unrelated]


@pytest.fixture(scope="module")
def sandbox(kind: str) -> Iterator[BlockingSandbox]:
    """One sandbox for many tests, which must not affect each other, and no process may be left."""
    with BlockingSandbox(kind) as sandbox:
        yield sandbox
    assert living_soon() == []


def living_soon(before: Sequence[str] = ()) -> list[str]:
    """New descendants of this process, after waiting for killed ones to disappear."""
    until = time.monotonic() + 2
    while (living := sorted(set(ours()) - set(before))) and time.monotonic() < until:
        time.sleep(0.01)
    return living


def servers() -> list[int]:
    """The worker processes: those of our descendants that have no children."""
    living = [int(line.split()[0]) for line in ours()]
    return [number for number in living if not set(living) & children_of(number)]


def children_of(number: int) -> set[int]:
    return set(map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split()))


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_stops_is_replaced_and_the_program_is_run_again(
    sandbox: BlockingSandbox, way: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_GRACE_SECONDS", 0.3)
    assert summary_of(sandbox.run(DOUBLE, ([1], {}))) == "2"
    (first,) = servers()
    os.kill(first, way)
    assert summary_of(sandbox.run(DOUBLE, ([21], {}), limits=Limits(seconds=1.0))) == "42"
    assert summary_of(sandbox.run(DOUBLE, ([22], {}))) == "44"
    (second,) = servers()
    assert second != first


def test_a_program_is_not_blamed_for_a_killed_worker(sandbox: BlockingSandbox) -> None:
    async def kill_worker() -> Verdict:
        answer = asyncio.create_task(
            sandbox.pool.answer(Program.of("import time\ndef f(): return time.sleep(0.4)", "f"))
        )
        await asyncio.sleep(0.1)
        busy = {int(line.split()[0]) for line in ours()}
        (server,) = [number for number in busy if len(children_of(number) & set(servers())) and number != os.getpid()][
            -1:
        ]
        os.kill(server, signal.SIGKILL)
        return await answer

    assert summary_of(sandbox.wait(kill_worker())) == "None"


def test_a_program_on_which_the_sandbox_fails_twice_is_quarantined(
    sandbox: BlockingSandbox, monkeypatch: pytest.MonkeyPatch
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
    verdict = sandbox.run("def f(): return 'spell'")
    assert (verdict.status, verdict.detail, failures) == ("quarantined", "a spell", 2)
    assert summary_of(sandbox.run(DOUBLE, ([21], {}))) == "42"


def test_jails_are_replaced_after_a_number_of_programs(
    sandbox: BlockingSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_PROGRAMS_PER_JAIL", 25)
    # The programs of the self-test count.
    seen = set()
    for n in range(50):
        assert summary_of(sandbox.run(DOUBLE, ([n], {}))) == str(2 * n)
        seen |= set(servers())
    assert len(seen) == 3


def test_many_programs_do_not_change_the_worker(sandbox: BlockingSandbox) -> None:
    def state() -> tuple[int, int, int]:
        (server,) = servers()
        status = Path(f"/proc/{server}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0])
        return resident, len(living_descendants()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    programs = [DOUBLE] * 6 + ["import os\ndef f(n): os.abort()"]
    for source in programs * 10:
        sandbox.run(source, ([1], {}))
    before = state()
    for source in programs * 60:
        sandbox.run(source, ([1], {}))
    after = state()
    assert after[0] < before[0] * 1.1
    assert after[1:] == before[1:]


def test_other_profiles_have_other_hashes_and_random_numbers(sandbox: BlockingSandbox) -> None:
    source = "import random\ndef f(): return hash('a'), random.random()"
    runs = [summary_of(sandbox.run(source, profile=profile)) for profile in (0, 1, 2, 0, 1, 2)]
    assert len(set(runs)) == 3
    assert runs[:3] == runs[3:]


def test_outcomes_of_reversed_inputs_are_in_the_given_order(sandbox: BlockingSandbox) -> None:
    source = "seen = []\ndef f(n):\n    seen.append(n)\n    return seen"
    assert summary_of(sandbox.run(source, ([1], {}), ([2], {}), reverse=True)) == "[2, 1]; [2]"
    assert summary_of(sandbox.run(source, ([1], {}), ([2], {}))) == "[1]; [1, 2]"


def test_a_program_with_a_higher_memory_limit_gets_more_memory(sandbox: BlockingSandbox) -> None:
    much = "def f(): return len(bytearray(700 << 20))"
    assert summary_of(sandbox.run(much)) == "exception MemoryError"
    assert summary_of(sandbox.run(much, limits=Limits(memory_mb=1024))) == str(700 << 20)


def test_arguments_arrive_unchanged(sandbox: BlockingSandbox) -> None:
    args: list[Any] = [1, 2.5, float("inf"), {"a": {1, 2}}, (1,), b"\0", 2**70, "\ud800"]
    verdict = sandbox.run("def f(*args, **named): return list(args), named", (args, {"key": frozenset("ab")}))
    assert summary_of(verdict) == f"({args!r}, {{'key': frozenset({{'a', 'b'}})}})"


def test_large_programs_and_inputs_are_refused(sandbox: BlockingSandbox) -> None:
    assert summary_of(sandbox.run("#" * 10_000_000)) == "refused; -"
    many: list[tuple[list[Any], dict[str, Any]]] = [(["x" * 50_000], {}) for _ in range(6)]
    assert sandbox.run(DOUBLE, *many).detail == "the inputs are longer than 262144 bytes"
    assert sandbox.run(DOUBLE, ([object()], {})).detail == "an input is no plain value: object"


def test_the_record_has_what_outputs_depend_on(sandbox: BlockingSandbox, kind: str) -> None:
    identity = sandbox.pool.record()
    assert identity["jail"] == kind
    assert identity["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"tier", "platform", "limits", "filter", "packages"} <= set(identity)


def test_a_jail_without_a_filter_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = filter.compiled_filters()
    allow_all = (0x06).to_bytes(2, sys.byteorder) + bytes(2) + (0x7FFF0000).to_bytes(4, sys.byteorder)
    monkeypatch.setattr(pool, "compiled_filters", lambda: filter.Filters(allow_all, allow_all, compiled.digest))
    before = living_descendants()
    with pytest.raises(SandboxUnavailable, match="is not safe here"):
        BlockingSandbox(kind)
    assert living_soon(before) == []


def test_a_filter_that_the_kernel_refuses_is_reported(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "compiled_filters", lambda: filter.Filters(b"\xff" * 8, b"\xff" * 8, ""))
    before = living_descendants()
    with pytest.raises(SandboxUnavailable, match="prctl"):
        BlockingSandbox(kind)
    assert living_soon(before) == []


def test_a_jail_that_requires_a_newer_landlock_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_jail

    def demanding(kind: str, packages: Any) -> Any:
        jail = opened(kind, packages)
        jail.landlock = 99
        return jail

    monkeypatch.setattr(pool, "open_jail", demanding)
    with pytest.raises(SandboxUnavailable, match="needs Landlock 99"):
        BlockingSandbox(kind)


def test_another_python_in_the_jail_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version", "3.99")
    with pytest.raises(SandboxUnavailable, match=r"where synth runs 3\.99"):
        BlockingSandbox(kind)


def test_an_unknown_kind_of_jail_is_refused() -> None:
    with pytest.raises(UsageError, match="--jail none: must be one of auto, docker"):
        BlockingSandbox("none")


def test_without_bwrap_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        BlockingSandbox("bwrap")


def test_closing_cancels_running_programs(kind: str) -> None:
    async def close_while_running() -> list[Any]:
        sandbox = Sandbox(kind, 1)
        await sandbox.start()
        tasks = [
            asyncio.create_task(sandbox.answer(Program.of("def f():\n    while True: pass", "f"))) for _ in range(3)
        ]
        await asyncio.sleep(0.2)
        await sandbox.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    before, descriptors = living_descendants(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert [type(end) for end in asyncio.run(close_while_running())] == [asyncio.CancelledError] * 3
    assert living_soon(before) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_the_program_of_a_cancelled_caller_is_killed_and_others_get_its_place(sandbox: BlockingSandbox) -> None:
    async def give_up() -> tuple[float, list[str]]:
        forever = Program.of("def f():\n    while True: pass", "f", limits=Limits(seconds=30.0))
        tasks = [asyncio.create_task(sandbox.pool.answer(forever)) for _ in range(8)]
        await asyncio.sleep(0.2)
        started = time.monotonic()
        for task in tasks:
            task.cancel()
        answers = [sandbox.pool.answer(Program.of(DOUBLE, "f", [([n], {})])) for n in range(8)]
        found = list(map(summary_of, await asyncio.gather(*answers)))
        return time.monotonic() - started, found

    seconds, answers = sandbox.wait(give_up())
    assert answers == [str(2 * n) for n in range(8)]
    assert seconds < 15


def test_a_worker_killed_while_it_starts_leaves_nothing(kind: str) -> None:
    jail = open_jail(kind, ())
    jail.prepare()
    before = living_descendants()
    workers = []
    for number in range(5 if kind == "docker" else 20):
        workers.append(jail.start(0, 512))
        # At various times in its first milliseconds.
        time.sleep(number / 4000)
        workers[-1].kill()
    assert living_soon(before) == []
    assert stuck() == []


def test_a_container_whose_host_was_killed_before_it_started_is_removed_at_the_next_start(kind: str) -> None:
    if kind != "docker":
        pytest.skip("only Docker keeps containers that were never started")
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


def test_orphans_of_bwrap_are_killed_at_the_next_start() -> None:
    if reason := why_not("bwrap"):
        pytest.skip(reason)
    jail = open_jail("bwrap", ())
    jail.prepare()
    for number in range(20):
        worker = jail.start(0, 512)
        assert isinstance(worker, ProcessWorker)
        time.sleep(number / 4000)
        # As when a host is killed: only bwrap dies.
        worker.process.kill()
        worker.process.wait()
        worker.kill()
    jail.prepare()
    assert stuck() == []


def stuck() -> list[str]:
    """The bwrap processes whose parents have died."""
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
