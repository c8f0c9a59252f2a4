"""Backends shared by all rows of a worker: started on first use, closed when the run ends.

Requests to a busy engine are retried. A request may fail because the engine is down or because of the request itself.
If the engine answers other requests meanwhile (a neutral probe is sent if there are none), only the row fails;
otherwise the run stops.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from synth.pipelines.engines import Answer, Backend, Engine, EngineBusy, Message, PromptRefused, Request, RequestFailed
from synth.pipelines.engines.probe import Answering, check_schemas_enforced, check_texts_scored
from synth.pipelines.engines.reward import Conversation, Reward, RewardModel
from synth.pipelines.retrieval.lookup import DocumentIndex, Found, Query
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.observation import Observation
from synth.pipelines.runtime.spending import Spending
from synth.sandbox.program import Program
from synth.sandbox.verdict import Verdict
from synth.schemas.answers import key_of
from synth.schemas.errors import BudgetSpent, EngineFailed, SynthError, UsageError
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.sandbox.pool import Sandbox

__all__ = ["Backends", "SharedBackend", "SharedBackends", "SharedEngine"]

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# A fault of a single request goes away soon or never; a restarting server needs longer pauses.
LONGEST_PAUSE_AFTER_FAULT = 8.0
SECONDS_BETWEEN_WARNINGS = 30.0
# Of several tokens, because a single one has no score.
NEUTRAL = "Hello there"


class SharedBackend(Generic[RequestT, AnswerT]):
    """Starts its backend on the first request, so a run with only journaled answers loads no model and starts no jail.

    `key` identifies the backend in the journal. `answered` and `in_flight` count requests.
    """

    def __init__(self, backend: Backend[RequestT, AnswerT], key: int) -> None:
        self.key = key
        self.is_ready = False
        self.answered = 0
        self.in_flight = 0
        self._backend = backend
        self._start: asyncio.Task[None] | None = None
        self._began: float | None = None
        # Seconds that the start took.
        self.start_seconds = 0.0

    async def answer(self, request: RequestT) -> AnswerT:
        if not self.is_ready:
            await self._started()
        self.in_flight += 1
        try:
            answer = await self._backend.answer(request)
        finally:
            self.in_flight -= 1
        self.answered += 1
        return answer

    @property
    def phase(self) -> str | None:
        """What it does before it can answer, in words; None if it is not used yet, or is ready."""
        return self._backend.starting if self._start and not self._start.done() else None

    @property
    def seconds(self) -> float:
        """Seconds since the backend began to start."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    async def close(self) -> None:
        if self._start:
            self._start.cancel()
            await asyncio.gather(self._start, return_exceptions=True)
            await self._backend.close()

    async def _started(self) -> None:
        if self._start is None:
            self._began = time.monotonic()
            self._start = asyncio.create_task(self._backend.start())
        await asyncio.shield(self._start)
        if not self.is_ready:
            self.start_seconds = self.seconds
        self.is_ready = True


class SharedEngine(SharedBackend[Request, Answer]):
    """Retries while the engine is busy, checks constrained decoding and scoring once, stops at a `budget` of tokens.

    All answers count as `spent`, including those to requests of its own.
    """

    # A restarting server needs minutes; a dead one should not block a run for hours.
    patience = 300.0
    # Failures of a request while others are answered. A server that fails every third request makes no row fail.
    most_faults = 7

    def __init__(self, engine: Engine, budget: int | None, spent: Spending) -> None:
        super().__init__(engine, key_of(engine.identity()))
        self._budget = budget
        self._spent = spent
        # Tokens of the budget that others have spent.
        self.spent_elsewhere = 0
        # By what is proved, in words.
        self._proofs: dict[str, asyncio.Task[None]] = {}
        self._check: asyncio.Task[bool] | None = None
        self._before = spent.completion_tokens
        self._warned = -SECONDS_BETWEEN_WARNINGS

    def answer(self, request: Request) -> Coroutine[Any, Any, Answer]:
        """Raises `RequestFailed`, `BudgetSpent`, or `EngineFailed` after `patience` seconds without an answer."""
        # Fast path: most requests only have to be sent, and each nested coroutine costs time.
        if self.is_ready and request.schema is None and request.windows is UNSET and self._budget is None:
            return self._ask_noted(request)
        return self._ask_prepared(request)

    def _ask_noted(self, request: Request) -> Coroutine[Any, Any, Answer]:
        # Before it is sent, so that a process that dies has noted most of what it asked for in vain.
        self._spent.requests += 1
        return self._ask(request)

    async def _ask_prepared(self, request: Request) -> Answer:
        if not self.is_ready:
            await self._started()
        if request.schema is not None:
            await self._prove("constrained decoding", check_schemas_enforced)
        if request.windows is not UNSET:
            await self._prove("scores of texts", check_texts_scored)
        if self._budget is not None:
            return await self._ask_within(self._budget, request)
        return await self._ask_noted(request)

    async def _prove(self, what: str, check: Callable[[Answering], Coroutine[Any, Any, None]]) -> None:
        """Raises `EngineFailed` if the engine does not do it. The check is made once."""
        if what not in self._proofs:
            self._proofs[what] = asyncio.create_task(check(self._ask))
        await asyncio.shield(self._proofs[what])

    @property
    def tokens(self) -> int:
        """The tokens of the completions that it has given."""
        return self._spent.completion_tokens - self._before

    @property
    def phase(self) -> str | None:
        return super().phase or next((f"proving {what}" for what, one in self._proofs.items() if not one.done()), None)

    async def close(self) -> None:
        for task in (*self._proofs.values(), self._check):
            if task:
                task.cancel()
        await super().close()

    async def _ask_within(self, budget: int, request: Request) -> Answer:
        if (spent := self._spent.tokens + self.spent_elsewhere) >= budget:
            raise BudgetSpent(
                f"the budget of {plural(budget, 'token')} is spent ({spent:,}): what was finished is "
                "kept, repeat the command with a larger --budget-tokens to continue"
            )
        answer = await self._ask_noted(request)
        if answer.tokens is None:
            raise UsageError("the server does not count tokens (no usage in its answer), so leave out --budget-tokens")
        return answer

    async def _started(self) -> None:
        try:
            await super()._started()
        except SynthError:
            raise
        except Exception as error:
            raise EngineFailed(f"the engine cannot be started: {type(error).__name__}: {error}") from error

    async def _ask(self, request: Request) -> Answer:
        """All samples. Those that the engine has given are kept while the others are asked for."""
        given: Answer | None = None
        waited, pause, faults, answered = 0.0, FIRST_PAUSE, 0, self.answered
        self.in_flight += 1
        try:
            while True:
                try:
                    answer = await self._backend.answer(request)
                except PromptRefused as refusal:
                    if not await self._answers_others(request, since=0):
                        raise EngineFailed(str(refusal)) from refusal
                    raise
                except EngineBusy as busy:
                    # A momentary fault does not count.
                    is_suspect = (pause > FIRST_PAUSE and not busy.overloaded) or waited >= self.patience
                    if await self._answers_others(request, since=answered, probing=is_suspect):
                        faults += is_suspect
                        if faults >= self.most_faults or waited >= self.patience:
                            raise RequestFailed(f"it keeps failing while others are answered: {busy}") from busy
                        waited, answered = 0.0, self.answered
                    delay = self._pause_for(busy, waited, pause)
                    self._warn(busy, pause)
                else:
                    self.answered += 1
                    self._spent.add(answer)
                    given = given.joined(answer) if given else answer
                    if (rest := request.after(answer)) is None:
                        return given
                    assert answer.completions, "an engine gives at least one sample"
                    request = rest
                    waited, pause, faults, answered = 0.0, FIRST_PAUSE, 0, self.answered
                    continue
                await asyncio.sleep(delay)
                longest = LONGEST_PAUSE_AFTER_FAULT if faults else LONGEST_PAUSE
                waited, pause = waited + delay, min(2 * pause, longest)
        finally:
            self.in_flight -= 1

    def _pause_for(self, busy: EngineBusy, waited: float, pause: float) -> float:
        """Seconds to wait before the next try. Raises `EngineFailed` when `patience` is exhausted."""
        retry_after = busy.retry_after or 0.0
        if waited >= self.patience or retry_after > self.patience:
            fault = f"gave no answer for {waited:.0f} s" if waited else f"asks to retry only after {retry_after:.0f} s"
            raise EngineFailed(
                f"the engine {fault} ({busy}): all answers are kept, repeat the command to continue"
            ) from busy
        # A Retry-After of 0 must still add up to `patience`.
        return pause if busy.retry_after is None else max(busy.retry_after, 0.05)

    async def _answers_others(self, request: Request, *, since: int, probing: bool = True) -> bool:
        """Whether the engine has given more than `since` answers; if not and `probing`, sends it a neutral request."""
        if self.answered == since and probing:
            if self._check is None or self._check.done():
                self._check = asyncio.create_task(self._answers(_neutral(request)))
            await asyncio.shield(self._check)
        return self.answered > since

    async def _answers(self, request: Request) -> bool:
        try:
            self._spent.add(await self._backend.answer(request))
        except (RequestFailed, EngineBusy):
            return False
        self.answered += 1
        return True

    def _warn(self, busy: EngineBusy, pause: float) -> None:
        """Warn about retries, once a request has failed a few times."""
        now = time.monotonic()
        if pause > 2 * FIRST_PAUSE and now - self._warned >= SECONDS_BETWEEN_WARNINGS:
            self._warned = now
            logging.getLogger("synth").warning("no answer yet, retrying: %s", busy)


def _neutral(request: Request) -> Request:
    """A request of the same kind with a short harmless text, which any working engine answers."""
    if isinstance(request.prompt, str):
        prompt: str | tuple[Message, ...] = NEUTRAL
    else:
        prompt = tuple(Message(role=message["role"], content=NEUTRAL) for message in request.prompt)
    return replace(request, prompt=prompt, sampling=replace(request.sampling, max_tokens=1))


@dataclass(frozen=True)
class Backends:
    """What answers the rows of a run, not yet started; None for what its stage does not use. It pickles."""

    engine: Engine | None = None
    sandbox: "Sandbox | None" = None
    index: DocumentIndex | None = None
    scorer: RewardModel | None = None

    @property
    def gpus_wanted(self) -> int:
        """The GPUs that each worker needs."""
        return sum(held.gpus_wanted or 0 for held in (self.engine, self.scorer) if held)

    @property
    def gpus(self) -> int | None:
        """The GPUs that a worker holds once it has started; None if unknown."""
        held = self.engine or self.scorer
        return held.gpus if held else 0

    def shared(self, budget: int | None, spent: Spending) -> "SharedBackends":
        return SharedBackends(
            SharedEngine(self.engine, budget, spent) if self.engine else None,
            _shared_sandbox(self.sandbox) if self.sandbox else None,
            SharedBackend(self.index, key_of(self.index.identity())) if self.index else None,
            SharedBackend(self.scorer, key_of(self.scorer.identity())) if self.scorer else None,
        )


class SharedBackends(NamedTuple):
    """The shared backends of a worker."""

    engine: SharedEngine | None = None
    sandbox: SharedBackend[Program, Verdict] | None = None
    search: SharedBackend[Query, Found] | None = None
    scorer: SharedBackend[Conversation, Reward] | None = None

    @property
    def used(self) -> list[SharedBackend[Any, Any]]:
        return list(filter(None, self))

    @property
    def engine_seconds(self) -> float:
        """Seconds for which the engine or the reward model has been held."""
        return sum(held.seconds for held in (self.engine, self.scorer) if held)

    def observation(self, rows: int, counts: Counts) -> Observation:
        """What can be seen of them, with the counts of the rows."""
        return Observation(
            rows,
            counts,
            phase=", ".join(backend.phase for backend in self.used if backend.phase) or None,
            answers=self.engine.answered if self.engine else 0,
            tokens=self.engine.tokens if self.engine else 0,
            verdicts=self.sandbox.answered if self.sandbox else 0,
            searches=self.search.answered if self.search else 0,
            scores=self.scorer.answered if self.scorer else 0,
            in_flight=sum(backend.in_flight for backend in self.used),
        )

    async def close(self) -> None:
        for backend in self.used:
            await backend.close()


def _shared_sandbox(sandbox: "Sandbox") -> SharedBackend[Program, Verdict]:
    """Journal keys include the sandbox's source code; the output's identity does not, so upgrades make none stale."""
    from synth.sandbox.determinants import source_digest

    return SharedBackend(sandbox, key_of({**sandbox.identity(), "code": source_digest()}))
