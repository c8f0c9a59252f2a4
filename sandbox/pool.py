"""The sandbox: runs programs in a pool of warm jails, one program at a time in each.

`async with Sandbox() as sandbox: verdict = await sandbox.answer(Program.of(code, "f", [([1, 2], {})]))`

A jail that fails is replaced, and its program runs once more in a new one; a program on which the sandbox fails twice
is quarantined. Jails are also replaced after a number of programs, and after a program that makes them suspect.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
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

# A worker never returns the memory that programs made it touch.
_PROGRAMS_PER_JAIL = 5000
_ATTEMPTS_TO_START = 3
_DEFAULT_LIMITS = Limits()
# The jails of one processor, by the profile of their programs.
Slot = dict[int, RunningJail]


class Sandbox:
    """A pool of jails, bound to the event loop that starts it. Whoever asks has a slot until it has its answer."""

    def __init__(self, jail: str = "auto", workers: int | None = None, packages: Sequence[str] = ()) -> None:
        """`jail` is auto, docker, bwrap or landlock; `workers` jails run concurrently, by default one per processor.

        `packages` are distributions, installed alongside synth, that programs may import.
        """
        self._requested = jail
        self._wanted = workers
        self._workers = workers or len(os.sched_getaffinity(0))
        self._packages = tuple(packages)
        self._modules: list[str] = []
        self._filters: Filters | None = None
        self._jail: Jail | None = None
        self._landlock = 0
        # A single thread starts all jails, because the kernel kills a jail when the thread that started it ends.
        self._spawner: ThreadPoolExecutor | None = None
        self._idle: list[Slot] = []
        self._free: asyncio.Semaphore | None = None
        self._asking: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """It pickles as its description."""
        return type(self), (self._requested, self._wanted, self._packages)

    def share(self, processors: int) -> None:
        """Use no more than these processors of the machine, unless a number of jails was asked for."""
        self._workers = self._wanted or processors

    async def start(self) -> None:
        """Start a jail that passes the self-test. Raises `SandboxUnavailable` if there is none."""
        self._spawner = ThreadPoolExecutor(1, "jails")
        try:
            self._filters = compiled_filters()
            self._modules = module_names(self._packages)
            first = await self._first_jail()
        except BaseException:
            self._jail = None
            self._spawner.shutdown()
            raise
        self._idle = [*({} for _ in range(self._workers - 1)), {0: first}]
        self._free = asyncio.Semaphore(self._workers)

    @property
    def starting(self) -> str:
        return f"starting {self._workers} jail{'' if self._workers == 1 else 's'}"

    async def answer(self, program: Program) -> Verdict:
        """Run a program. Raises `SandboxUnavailable` if no jail can be started any more; all else is a verdict."""
        if refusal := program.refusal:
            return Verdict("refused", (None,) * len(program.inputs), refusal)
        if self._free is None:
            raise SandboxUnavailable("the sandbox is not running: start it first")
        asking = asyncio.current_task()
        assert asking is not None
        self._asking.add(asking)
        try:
            # It serves first whoever has waited longest.
            async with self._free:
                slot = self._idle.pop()
                try:
                    return await self._judge(slot, program)
                finally:
                    self._idle.append(slot)
        finally:
            self._asking.discard(asking)

    async def close(self) -> None:
        """Kill every jail, and cancel the tasks that wait for an answer."""
        free, self._free = self._free, None
        for asking in self._asking:
            asking.cancel()
        if free is not None:
            for _ in range(self._workers):
                await free.acquire()
        for slot in self._idle:
            for running in slot.values():
                await self._end(running)
        self._idle = []
        if self._spawner is not None:
            await asyncio.to_thread(self._spawner.shutdown)

    def identity(self) -> dict[str, Any]:
        """See `sandbox.determinants`. Available before `start`. Raises `SandboxUnavailable`."""
        return dict(self._identity)

    def record(self) -> dict[str, Any] | None:
        """`identity` and details of the jail in which programs ran; None if no jail was started."""
        if self._jail is None or self._filters is None:
            return None
        return {
            **self.identity(),
            "tier": f"{self._jail.kind}+seccomp" + f"+landlock{self._landlock}" * bool(self._landlock),
            "limits": asdict(_DEFAULT_LIMITS),
            "filter": self._filters.digest,
            **self._jail.identity(),
        }

    @cached_property
    def _kind(self) -> str:
        """The kind of jail, with `auto` resolved once, so that `identity` does not change."""
        return automatic() if self._requested == "auto" else self._requested

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return determinants(self._kind, self._packages)

    async def _first_jail(self) -> RunningJail:
        self._jail = open_jail(self._kind, self._packages)
        await self._spawn(self._jail.prepare)
        running = await self._start(0, _DEFAULT_LIMITS.memory_mb)
        try:
            await prove(self._kind, running.run)
        except BaseException:
            await self._end(running)
            raise
        self._landlock = running.landlock
        return running

    async def _judge(self, slot: Slot, program: Program) -> Verdict:
        for _ in range(2):
            verdict = await self._attempt(slot, program)
            if verdict.status != "sandbox_error":
                return verdict
        return replace(verdict, status="quarantined")

    async def _attempt(self, slot: Slot, program: Program) -> Verdict:
        profile, memory_mb = program.profile, program.limits.memory_mb
        if profile in slot and slot[profile].memory_mb < memory_mb:
            await self._end(slot.pop(profile))
        if profile not in slot:
            slot[profile] = await self._start(profile, memory_mb)
        running = slot[profile]
        try:
            return await running.run(program)
        finally:
            if running.broken or running.served >= _PROGRAMS_PER_JAIL:
                await self._end(slot.pop(profile))

    async def _start(self, profile: int, memory_mb: int) -> RunningJail:
        """A new jail for programs of up to `memory_mb`. Raises `SandboxUnavailable` if several attempts fail."""
        assert self._jail is not None
        assert self._filters is not None
        jail, filters = self._jail, self._filters
        reason = ""
        for _ in range(_ATTEMPTS_TO_START):
            starting: asyncio.Future[Worker] = asyncio.ensure_future(self._spawn(jail.start, profile, memory_mb))
            try:
                worker = await asyncio.shield(starting)
            except OSError as error:
                reason = str(error)
                continue
            except asyncio.CancelledError:
                # The worker is still starting, and nothing else would kill it.
                await self._spawn((await starting).kill)
                raise
            try:
                return await RunningJail.open(jail, worker, filters, self._modules, memory_mb)
            except Broken as error:
                reason = await self._spawn(worker.kill) or str(error)
            except BaseException:
                await self._spawn(worker.kill)
                raise
        raise SandboxUnavailable(f"no {jail.kind} jail starts here ({reason}): {jail.remedy}")

    async def _end(self, running: RunningJail) -> None:
        running.stream.close()
        await self._spawn(running.worker.kill)

    async def _spawn(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the thread that starts jails."""
        assert self._spawner is not None
        return await asyncio.get_running_loop().run_in_executor(self._spawner, call, *arguments)
