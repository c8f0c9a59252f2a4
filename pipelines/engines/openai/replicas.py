"""Several servers that offer the same model, used as one engine.

Requests wait in one queue and go to the server with the largest share of free slots. A server that is overloaded or
unreachable rests while the others take its requests, and then has to answer one request before it gets more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from synth.pipelines.engines import Answer, EngineBusy, PromptRefused, Request, RequestFailed
from synth.pipelines.engines.openai.served import Unreachable, none_of
from synth.schemas.errors import EngineFailed, SynthError
from synth.schemas.phrases import listed

if TYPE_CHECKING:
    from synth.pipelines.engines.openai import OpenAIEngine

__all__ = ["Replicas"]

# Seconds that a server rests after its first fault, and at most. Each rest is twice as long as the one before until
# the server answers. A Retry-After takes the place of either.
FIRST_REST = 0.5
LONGEST_REST = 5.0
# A rest as long as this is worth a warning.
TOLD_REST = 2.0
SHORTEST_REST = 0.05


class _Replica:
    """One of the servers: how much it has to do, and whether it answers. It calls `returned` after each rest."""

    def __init__(self, engine: "OpenAIEngine", returned: Callable[[], None]) -> None:
        self.engine = engine
        self.outstanding = 0
        self.is_started = False
        self.has_answered = False
        # Its last fault, until it answers again.
        self.fault: Exception | None = None
        # The fault may be that of the request, so the server is used if there is no other.
        self.is_suspected = False
        self.rest: asyncio.TimerHandle | None = None
        self._returned = returned
        self._pause = 0.0
        self._is_told = False

    @property
    def load(self) -> float:
        return self.outstanding / self.engine.concurrency

    async def answer(self, request: Request) -> Answer:
        if not self.is_started:
            await self.engine.start()
            self.is_started = True
        return await self.engine.answer(request)

    def begin_rest(self, fault: Exception, retry_after: float | None = None, *, is_suspected: bool = False) -> None:
        loop = asyncio.get_running_loop()
        # Requests that were under way together fail together, which counts once.
        if not self.rest:
            self._pause = min(max(2 * self._pause, FIRST_REST), LONGEST_REST)
        self.is_suspected = is_suspected and (self.is_suspected or not self.rest)
        self.fault = fault
        end = loop.time() + (self._pause if retry_after is None else max(retry_after, SHORTEST_REST))
        if self.rest:
            end = max(end, self.rest.when())
            self.rest.cancel()
        self.rest = loop.call_at(end, self._return)
        if self._pause >= TOLD_REST:
            self.tell(f"{self.engine.name} does not answer, and the other servers take its requests: {fault}")

    def tell(self, message: str) -> None:
        """Warn, once until it answers again."""
        if not self._is_told:
            self._is_told = True
            logging.getLogger("synth").warning(message)

    def note_answer(self) -> None:
        self.has_answered = True
        if not self.fault:
            return
        self._pause = 0.0
        if self.is_suspected:
            self.end_rest()
        # A server that is overloaded rests all the same: the request was sent before.
        if not self.rest:
            self.fault = None
            if self._is_told:
                self._is_told = False
                logging.getLogger("synth").warning("%s answers again", self.engine.name)

    def end_rest(self) -> None:
        if self.rest:
            self.rest.cancel()
            self.rest = None

    def _return(self) -> None:
        self.rest = None
        self._returned()


class Replicas:
    """Each of the `engines` is one server. What they raise means the same as from a single one, with these differences.

    `EngineBusy` is raised only if no other server can take the request. A server that would end a run by itself is no
    longer used, with a warning; the last one ends the run.
    """

    gpus = gpus_wanted = None

    def __init__(self, engines: Sequence["OpenAIEngine"]) -> None:
        self._engines = engines
        self._used = [_Replica(engine, self._hand_out) for engine in engines]
        # Requests without a server, in order. The result is None if all servers rest.
        self._waiting: deque[asyncio.Future[_Replica | None]] = deque()

    def identity(self) -> dict[str, Any]:
        return self._engines[0].identity()

    @property
    def starting(self) -> str:
        return f"reaching {listed([engine.name for engine in self._engines])}"

    async def start(self) -> None:
        """Raises `EngineFailed` if no server can be used, `UsageError` if one of them lists only other models."""
        outcomes = await asyncio.gather(*(engine.start() for engine in self._engines), return_exceptions=True)
        failures = []
        for outcome in outcomes:
            if isinstance(outcome, EngineFailed):
                failures.append(outcome)
            elif outcome is not None:
                raise outcome
        if len(failures) == len(self._engines):
            raise none_of(failures)
        for replica, outcome in zip(tuple(self._used), outcomes, strict=True):
            replica.is_started = outcome is None
            if isinstance(outcome, Unreachable):
                replica.tell(f"the run goes on without {replica.engine.name} until it answers: {outcome}")
                replica.begin_rest(outcome)
            elif isinstance(outcome, EngineFailed):
                self._drop(replica, outcome)

    async def answer(self, request: Request) -> Answer:
        tried: list[_Replica] = []
        replica = await self._turn()
        while True:
            tried.append(replica)
            try:
                answer = await replica.answer(request)
            except EngineBusy as busy:
                replica.begin_rest(busy, busy.retry_after, is_suspected=not busy.overloaded)
                fault: Exception = busy
            except Unreachable as failure:
                replica.begin_rest(failure)
                fault = EngineBusy(str(failure), overloaded=True)
            except SynthError as failure:
                self._drop(replica, failure)
                fault = EngineBusy(str(failure), overloaded=True)
            except PromptRefused as refusal:
                # A server that has answered nothing yet may refuse everything.
                if replica.has_answered:
                    replica.note_answer()
                    raise
                replica.begin_rest(refusal, is_suspected=True)
                fault = refusal
            except RequestFailed:
                replica.note_answer()
                raise
            else:
                replica.note_answer()
                return answer
            finally:
                self._release(replica)
            if not (other := self._other(tried)):
                raise fault
            replica = other

    async def close(self) -> None:
        for replica in self._used:
            replica.end_rest()
        await asyncio.gather(*(engine.close() for engine in self._engines))

    async def _turn(self) -> _Replica:
        """A server with a free slot, which is taken. Raises `EngineBusy` if all servers rest."""
        waiter: asyncio.Future[_Replica | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._hand_out()
        try:
            replica = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and (unused := waiter.result()):
                self._release(unused)
            raise
        if not replica:
            raise self._all_rest()
        return replica

    def _release(self, replica: _Replica) -> None:
        replica.outstanding -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        """Give the free slots to the requests that have waited longest."""
        while self._waiting:
            usable = self._usable()
            free = [replica for replica in usable if replica.outstanding < self._slots(replica)]
            if usable and not free:
                return
            waiter = self._waiting.popleft()
            if not waiter.done():
                replica = min(free, key=lambda one: one.load, default=None)
                if replica:
                    replica.outstanding += 1
                waiter.set_result(replica)

    def _other(self, tried: Collection[_Replica]) -> _Replica | None:
        """Another server for a request that failed, now: if its slots are taken, the request is the next."""
        others = [
            replica
            for replica in self._usable()
            if replica not in tried and (not replica.fault or replica.outstanding < self._slots(replica))
        ]
        replica = min(others, key=lambda one: one.load, default=None)
        if replica:
            replica.outstanding += 1
        return replica

    def _usable(self) -> list[_Replica]:
        usable = [replica for replica in self._used if not replica.rest]
        return usable or [replica for replica in self._used if replica.is_suspected]

    def _slots(self, replica: _Replica) -> int:
        """One, while it has to show that it answers and others do, so that few requests wait for its time-out."""
        is_proved = replica.is_started and (not replica.fault or all(one.fault for one in self._used))
        return replica.engine.concurrency if is_proved else 1

    def _drop(self, replica: _Replica, failure: SynthError) -> None:
        """Stop using a server. Raises the `failure` if there is no other."""
        if replica in self._used:
            if len(self._used) == 1:
                raise failure
            replica.end_rest()
            self._used.remove(replica)
            logging.getLogger("synth").warning("%s is no longer used: %s", replica.engine.name, failure)

    def _all_rest(self) -> EngineBusy:
        now = asyncio.get_running_loop().time()
        first = min((replica.rest.when() for replica in self._used if replica.rest), default=now)
        faults = "; ".join(str(replica.fault) for replica in self._used)
        return EngineBusy(f"all servers rest: {faults}", max(0.0, first - now), overloaded=True)
