"""The sandbox: runs programs in a few warm jails, one program at a time in each.

`async with Sandbox() as sandbox: verdict = await sandbox.answer(Program.of(code, "f", [([1, 2], {})]))`

A jail that fails is replaced, and the program it was running is run once more in a new one; a program under which the
sandbox fails twice is quarantined. Jails are replaced after so many programs, and after any that cast doubt on them.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from msgspec.structs import asdict, replace

from synth.sandbox.determinants import determinants
from synth.sandbox.filter import Filters, compiled_filters
from synth.sandbox.jails import Jail, Worker
from synth.sandbox.jails.registry import automatic, open_jail
from synth.sandbox.program import Program
from synth.sandbox.rootfs import module_names
from synth.sandbox.running import RunningJail
from synth.sandbox.selftest import prove
from synth.sandbox.stream import Broken
from synth.sandbox.verdict import Limits, Verdict
from synth.schemas.errors import SandboxUnavailable

__all__ = ["Sandbox"]

# Memory that programs make a worker touch stays with it.
_PROGRAMS_PER_JAIL = 5000
_ATTEMPTS_TO_START = 3
USUAL = Limits()


@dataclass
class _Job:
    program: Program
    answer: asyncio.Future[Verdict]


class Sandbox:
    """A pool of jails. Belongs to the event loop in which it is started."""

    def __init__(self, jail: str = "auto", workers: int | None = None, packages: Sequence[str] = ()) -> None:
        """`jail` is auto, docker, bwrap or landlock; `workers` jails run concurrently, by default one a processor.

        `packages` are distributions, installed beside synth, that programs may import.
        """
        self._named = jail
        self._workers = workers or len(os.sched_getaffinity(0))
        self._packages = tuple(packages)
        self._modules: list[str] = []
        self._filters: Filters | None = None
        self._jail: Jail | None = None
        self._landlock = 0
        # The one thread that starts jails: the kernel ends them when the thread that started them ends.
        self._spawner: ThreadPoolExecutor | None = None
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._slots: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start a jail that withstands the self-test. Raises `SandboxUnavailable`; there is no running without one."""
        self._spawner = ThreadPoolExecutor(1, "jails")
        try:
            self._filters = compiled_filters()
            self._modules = module_names(self._packages)
            first = await self._first_jail()
        except BaseException:
            self._spawner.shutdown()
            raise
        self._slots = [
            asyncio.create_task(self._serve({0: first} if slot == 0 else {})) for slot in range(self._workers)
        ]

    async def answer(self, program: Program) -> Verdict:
        """Run a program. Raises `SandboxUnavailable` when jails can no longer be started; all else is a verdict."""
        if refusal := program.refusal:
            return Verdict("refused", (None,) * len(program.inputs), refusal)
        if not self._slots:
            raise SandboxUnavailable("the sandbox is not running: start it first")
        job = _Job(program, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        return await job.answer

    async def close(self) -> None:
        """Kill every jail. What is still running ends with `CancelledError`."""
        slots, self._slots = self._slots, []
        for slot in slots:
            slot.cancel()
        await asyncio.gather(*slots, return_exceptions=True)
        while not self._jobs.empty():
            self._jobs.get_nowait().answer.cancel()
        if self._spawner is not None:
            await asyncio.to_thread(self._spawner.shutdown)

    def identity(self) -> dict[str, Any]:
        """See `sandbox.determinants`; plain values, known before `start`. Raises `SandboxUnavailable`."""
        return dict(self._identity)

    def record(self) -> dict[str, Any] | None:
        """`identity`, and more of the jail that programs ran in; None where no jail was ever started."""
        if self._jail is None or self._filters is None:
            return None
        return {
            **self.identity(),
            "tier": f"{self._jail.kind}+seccomp" + f"+landlock{self._landlock}" * bool(self._landlock),
            "limits": asdict(USUAL),
            "filter": self._filters.digest,
            **self._jail.identity(),
        }

    @cached_property
    def _kind(self) -> str:
        """The jail that was named, or that `auto` comes to. Decided once, so that `identity` stays true."""
        return automatic() if self._named == "auto" else self._named

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return determinants(self._kind, self._packages)

    async def _first_jail(self) -> RunningJail:
        self._jail = open_jail(self._kind, self._packages)
        try:
            await self._spawn(self._jail.prepare)
            running = await self._start(0, USUAL.memory_mb)
            try:
                await prove(self._kind, running.run)
            except BaseException:
                await self._end(running)
                raise
        except BaseException:
            self._jail = None
            raise
        self._landlock = running.landlock
        return running

    async def _serve(self, jails: dict[int, RunningJail]) -> None:
        """Process jobs in turn, in one jail per requested profile."""
        try:
            while True:
                job = await self._jobs.get()
                if job.answer.done():
                    # The caller was cancelled.
                    continue
                try:
                    verdict = await self._judge(jails, job.program)
                except Exception as error:
                    if not job.answer.done():
                        job.answer.set_exception(error)
                except BaseException:
                    job.answer.cancel()
                    raise
                else:
                    if not job.answer.done():
                        job.answer.set_result(verdict)
        finally:
            for running in jails.values():
                await self._end(running)

    async def _judge(self, jails: dict[int, RunningJail], program: Program) -> Verdict:
        verdict = await self._attempt(jails, program)
        if verdict.status == "sandbox_error":
            verdict = await self._attempt(jails, program)
        if verdict.status == "sandbox_error":
            return replace(verdict, status="quarantined")
        return verdict

    async def _attempt(self, jails: dict[int, RunningJail], program: Program) -> Verdict:
        profile, memory_mb = program.profile, program.limits.memory_mb
        if profile in jails and jails[profile].memory_mb < memory_mb:
            await self._end(jails.pop(profile))
        if profile not in jails:
            jails[profile] = await self._start(profile, memory_mb)
        running = jails[profile]
        verdict = await running.run(program)
        if running.broken or running.served >= _PROGRAMS_PER_JAIL:
            await self._end(jails.pop(profile))
        return verdict

    async def _start(self, profile: int, memory_mb: int) -> RunningJail:
        """A new jail for programs of at most so much memory. Raises `SandboxUnavailable` when a few attempts fail."""
        assert self._jail is not None
        assert self._filters is not None
        jail, filters = self._jail, self._filters
        reason = ""
        for _ in range(_ATTEMPTS_TO_START):
            starting: asyncio.Future[Worker] = asyncio.ensure_future(
                self._spawn(lambda: jail.start(profile, memory_mb))
            )
            try:
                worker = await asyncio.shield(starting)
            except OSError as error:
                reason = str(error)
                continue
            except asyncio.CancelledError:
                # The worker will be up in a moment, and nothing else would kill it.
                await self._spawn((await starting).kill)
                raise
            try:
                return await RunningJail.open(jail, worker, filters, self._modules, memory_mb)
            except Broken as error:
                reason = await self._spawn(worker.kill) or str(error)
            except BaseException:
                await self._spawn(worker.kill)
                raise
        raise SandboxUnavailable(f"no {jail.kind} jail comes up here ({reason}): {jail.remedy}")

    async def _end(self, running: RunningJail) -> None:
        running.stream.close()
        await self._spawn(running.worker.kill)

    async def _spawn(self, call: Any) -> Any:
        assert self._spawner is not None
        return await asyncio.get_running_loop().run_in_executor(self._spawner, call)
