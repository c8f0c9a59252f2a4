"""What a row is handed to work with, and why it survives a crash.

Every answer of the engine goes to a journal as it arrives, under the row's id and a hash of the whole request and of
the engine's identity. When the command is repeated, the row's coroutine runs again from its start and is given its
recorded answers, so it arrives where it was without asking anything twice.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import xxhash

from pipelines.engines import Answer, Engine, EngineBusy, Message, Request, RequestFailed, Sampling
from pipelines.engines.probe import prove_constrained
from pipelines.engines.reasoning import opening_of, separated
from pipelines.stage import NothingSaid, Reject, Unanswered
from sandbox.verdict import Limits, Verdict
from schemas.errors import BudgetSpent, EngineFailed, SynthError
from schemas.journal import Journal, read_journal

if TYPE_CHECKING:
    from pipelines.programs import SharedSandbox

__all__ = ["ANSWERS", "AnswerJournal", "RowTools", "SharedEngine", "tokens_in"]

ANSWERS = pa.schema(
    [("row", pa.string()), ("request_hash", pa.binary(16)), ("request", pa.string()), ("answer", pa.string())]
)


class AnswerJournal:
    """What the tools answered the rows of one chunk, as JSON. `engine` stands for which engine answers."""

    def __init__(self, path: Path, engine: bytes) -> None:
        self._journal = Journal(path, ANSWERS)
        self._engine = xxhash.xxh3_64_intdigest(engine)
        self._waiting: list[tuple[str, bytes, bytes, bytes]] = []
        self._known: dict[tuple[str, bytes], str] = {}
        for batch in self._journal.recovered.select(["row", "request_hash", "answer"]).to_batches():
            rows, hashes, answers = (column.to_pylist() for column in batch.columns)
            self._known.update(zip(zip(rows, hashes, strict=True), answers, strict=True))

    def find(self, row_id: str, request: bytes) -> str | None:
        return self._known.get((row_id, self._hash(request))) if self._known else None

    def record(self, row_id: str, request: bytes, answer: bytes) -> None:
        self._waiting.append((row_id, self._hash(request), request, answer))

    def flush(self) -> None:
        if self._waiting:
            # What cannot be written waits for a disk that has room again.
            self._journal.write(self._waiting)
            self._waiting = []

    def close(self) -> None:
        self._journal.close()

    def _hash(self, request: bytes) -> bytes:
        return xxhash.xxh3_128_digest(request, self._engine)


_write_json = msgspec.json.Encoder().encode
_read_answer = msgspec.json.Decoder(Answer).decode
_read_verdict = msgspec.json.Decoder(Verdict).decode


def tokens_in(journal: Path) -> int:
    """The tokens of the prompts and completions that a journal of answers holds."""
    journaled = read_journal(journal, ANSWERS).select(["request", "answer"]).to_pylist()
    return sum(_tokens(_read_answer(row["answer"])) for row in journaled if row["request"].startswith('{"prompt"'))


def _tokens(answer: Answer) -> int:
    return (answer.prompt_tokens or 0) + sum(completion.tokens or 0 for completion in answer.completions)


class SharedEngine:
    """The engine of a run as all its rows share it.

    It starts when the first row asks, so that a run whose answers are all recorded never loads a model. Busy answers
    are asked for again; constrained decoding is proved once; no request is sent when `budget` tokens are `spent`.
    """

    # A server that restarts needs minutes; one that is gone should not hold a run for hours.
    patience = 300.0

    def __init__(self, engine: Engine, budget: int | None, spent: int) -> None:
        self._engine = engine
        self._budget = budget
        self._spent = spent
        self._began: float | None = None
        self.is_ready = False
        self._start: asyncio.Task[None] | None = None
        self._proof: asyncio.Task[None] | None = None

    async def generate(self, request: Request) -> Answer:
        """The answer to a request. Raises `PromptTooLong`, `BudgetSpent`, or `EngineFailed` when patience ends."""
        if not self.is_ready:
            await self._started()
        if request.schema is not None:
            if self._proof is None:
                self._proof = asyncio.create_task(prove_constrained(self._ask))
            await asyncio.shield(self._proof)
        if self._budget is not None:
            return await self._ask_within(self._budget, request)
        return await self._ask(request)

    async def _ask_within(self, budget: int, request: Request) -> Answer:
        if self._spent >= budget:
            raise BudgetSpent(
                f"the budget of {budget:,} tokens is spent ({self._spent:,}): what was finished is kept, "
                "repeat the command with a larger --budget-tokens to go on"
            )
        answer = await self._ask(request)
        self._spent += _tokens(answer)
        return answer

    @property
    def seconds(self) -> float:
        """How long the engine has been held, from the start of its start."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    async def close(self) -> None:
        for task in (self._start, self._proof):
            if task and not task.done():
                task.cancel()
        if self._start:
            await self._engine.close()

    async def _started(self) -> None:
        if self._start is None:
            self._began = time.monotonic()
            self._start = asyncio.create_task(self._engine.start())
        try:
            await asyncio.shield(self._start)
        except SynthError:
            raise
        except Exception as error:
            raise EngineFailed(f"the engine cannot be started: {type(error).__name__}: {error}") from error
        self.is_ready = True

    async def _ask(self, request: Request) -> Answer:
        waited, pause = 0.0, 0.5
        while True:
            try:
                return await self._engine.generate(request)
            except EngineBusy as busy:
                # One that is to be asked again at once, and again, would never come to the end of the patience.
                delay = pause if busy.retry_after is None else max(busy.retry_after, 0.05)
                named = busy.retry_after or 0.0
                if waited >= self.patience or named > self.patience:
                    silent = (
                        f"gave no answer for {waited:.0f} s" if waited else f"is to be left alone for {named:.0f} s"
                    )
                    raise EngineFailed(
                        f"the engine {silent} ({busy}): what was answered is kept, repeat the command to go on"
                    ) from busy
            await asyncio.sleep(delay)
            waited, pause = waited + delay, min(2 * pause, 30.0)


class RowTools:
    """The tools of one row. It is its own `llm` and `sandbox`: what they answer belongs to the row that asked."""

    __slots__ = ("_answers", "_engine", "_programs", "_row_id", "_seed", "model", "tallies")

    def __init__(
        self,
        row_id: str,
        seed: str,
        model: str,
        engine: SharedEngine | None,
        programs: "SharedSandbox | None",
        answers: AnswerJournal,
    ) -> None:
        self._row_id = row_id
        self._seed = seed
        self._engine = engine
        self._programs = programs
        self._answers = answers
        self.model = model
        self.tallies: dict[str, float] = defaultdict(float)

    @property
    def llm(self) -> "RowTools":
        return self

    async def generate(
        self,
        prompt: str | tuple[Message, ...],
        sampling: Sampling,
        *,
        n: int = 1,
        first_sample: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Answer:
        """See `pipelines.stage.LLM`."""
        if self._engine is None:
            raise RuntimeError("this stage was run without an engine")
        request = Request(prompt, sampling, n, _number(self._seed, self._row_id, "sample") + first_sample, schema)
        asked = _write_json(request)
        recorded = self._answers.find(self._row_id, asked)
        if recorded is None:
            try:
                answer = await self._engine.generate(request)
            except RequestFailed as failure:
                raise Unanswered(failure.reason, str(failure)) from None
            self._answers.record(self._row_id, asked, _write_json(answer))
        else:
            answer = _read_answer(recorded)
        self._count(answer)
        opened = opening_of(prompt)
        said = tuple([separated(completion, opened) for completion in answer.completions])
        answer = Answer(said, answer.prompt_tokens)
        _refuse_nothing_said(answer)
        return answer

    def _count(self, answer: Answer) -> None:
        tallies = self.tallies
        tallies["requests"] += 1
        counts = [answer.prompt_tokens, *[completion.tokens for completion in answer.completions]]
        tallies["prompt_tokens"] += counts[0] or 0
        tallies["completion_tokens"] += sum([count or 0 for count in counts[1:]])
        if None in counts:
            tallies["uncounted_requests"] += 1

    @property
    def sandbox(self) -> "RowTools":
        return self

    async def run(
        self,
        program: str,
        entry: str,
        inputs: Sequence[tuple[list[Any], Mapping[str, Any]]],
        *,
        limits: Limits = Limits(),
        profile: int = 0,
        reverse: bool = False,
    ) -> Verdict:
        """See `pipelines.stage.Programs`."""
        if self._programs is None:
            raise RuntimeError("this stage was run without a sandbox")
        from sandbox.values import Unencodable, encode_text

        try:
            texts = [encode_text([args, dict(kwargs)]) for args, kwargs in inputs]
        except Unencodable as error:
            raise Reject("refused", f"an input is no plain value: {error}") from None
        how = {"limits": asdict(limits), "profile": profile, "reverse": reverse}
        asked = _write_json({"program": program, "entry": entry, "inputs": texts, **how})
        recorded = self._answers.find(self._row_id, asked)
        if recorded is None:
            verdict = await self._programs.run(program, entry, inputs, limits=limits, profile=profile, reverse=reverse)
            self._answers.record(self._row_id, asked, _write_json(verdict))
        else:
            verdict = _read_verdict(recorded)
        self.tallies["programs"] += 1
        return verdict

    def random(self, *purpose: str | int) -> Random:
        return Random(_number(self._seed, self._row_id, *map(str, purpose)))

    def tally(self, name: str, amount: float = 1) -> None:
        self.tallies[name] += amount


def _refuse_nothing_said(answer: Answer) -> None:
    """Raises `NothingSaid` where no completion says anything, so that no recipe tries to parse silence.

    A blank completion among others is left to the recipe, and so is one that the token limit cut while it reasoned.
    """
    silences: dict[str, str] = {}
    for completion in answer.completions:
        if completion.silence is None or completion.cut:
            return
        silences.update([completion.silence])
    reason = "refused" if "refused" in silences else "empty_answer"
    raise NothingSaid(reason, silences[reason], answer)


def _number(*words: str) -> int:
    # 48 bits leave room for sample indices below the 63 bits that engines take as a seed.
    return xxhash.xxh3_64_intdigest("\x00".join(words).encode()) >> 16
