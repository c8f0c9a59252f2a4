"""What a row is handed to work with, and why it survives a crash.

Every answer of the engine goes to a journal as it arrives, under the row's id and a hash of the whole request. When
the command is repeated, the row's coroutine runs again from its start and is given its recorded answers, so it arrives
where it was without asking anything twice.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import xxhash

from pipelines.engines import Answer, Completion, Engine, EngineBusy, Message, PromptTooLong, Request, Sampling
from pipelines.engines.probe import prove_constrained
from pipelines.stage import Reject
from schemas.errors import EngineFailed
from schemas.journal import Journal

__all__ = ["AnswerJournal", "RowTools", "SharedEngine"]

ANSWERS = pa.schema(
    [("row", pa.string()), ("request_hash", pa.binary(16)), ("request", pa.string()), ("answer", pa.string())]
)


class AnswerJournal:
    """The engine's answers to the rows of one chunk."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, ANSWERS)
        self._waiting: list[tuple[str, bytes, str, str]] = []
        self._known: dict[tuple[str, bytes], bytes] = {}
        for batch in self._journal.recovered.select(["row", "request_hash", "answer"]).to_batches():
            rows, hashes, answers = (column.to_pylist() for column in batch.columns)
            self._known.update(zip(zip(rows, hashes, strict=True), answers, strict=True))

    def find(self, row_id: str, request: bytes) -> Answer | None:
        recorded = self._known.get((row_id, xxhash.xxh3_128_digest(request))) if self._known else None
        if recorded is None:
            return None
        answer = orjson.loads(recorded)
        completions = tuple(Completion(**completion) for completion in answer["completions"])
        return Answer(completions, answer["prompt_tokens"])

    def record(self, row_id: str, request: bytes, answer: Answer) -> None:
        digest = xxhash.xxh3_128_digest(request)
        self._waiting.append((row_id, digest, request.decode(), orjson.dumps(answer).decode()))

    def flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._journal.write(waiting)

    def close(self) -> None:
        self.flush()
        self._journal.close()


class SharedEngine:
    """The engine of a run as all its rows share it: busy answers are retried, constrained decoding is proved once."""

    # A server that restarts needs minutes; one that is gone should not hold a run for hours.
    patience = 300.0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._proof: asyncio.Task[None] | None = None

    async def generate(self, request: Request) -> Answer:
        """The answer to a request. Raises `PromptTooLong`, or `EngineFailed` when patience ends."""
        if request.schema is not None:
            if self._proof is None:
                self._proof = asyncio.create_task(prove_constrained(self._ask))
            await asyncio.shield(self._proof)
        return await self._ask(request)

    async def _ask(self, request: Request) -> Answer:
        waited, pause = 0.0, 0.5
        while True:
            try:
                return await self._engine.generate(request)
            except EngineBusy as busy:
                if waited >= self.patience:
                    raise EngineFailed(
                        f"the engine gave no answer for {waited:.0f} s ({busy}): "
                        "what was answered is kept, repeat the command to go on"
                    ) from busy
                delay = pause if busy.retry_after is None else busy.retry_after
            await asyncio.sleep(delay)
            waited, pause = waited + delay, min(2 * pause, 30.0)


class RowTools:
    """The tools of one row. It is its own `llm`: what the engine answers belongs to the row that asked."""

    __slots__ = ("_answers", "_engine", "_row_id", "_seed", "model", "tallies")

    def __init__(self, row_id: str, seed: str, model: str, engine: SharedEngine | None, answers: AnswerJournal) -> None:
        self._row_id = row_id
        self._seed = seed
        self._engine = engine
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
        request = Request(prompt, sampling, n, self._number("sample") + first_sample, schema)
        asked = orjson.dumps(request)
        answer = self._answers.find(self._row_id, asked)
        if answer is None:
            try:
                answer = await self._engine.generate(request)
            except PromptTooLong as too_long:
                raise Reject("prompt_too_long", str(too_long)) from None
            self._answers.record(self._row_id, asked, answer)
        self.tally("requests")
        self.tally("prompt_tokens", answer.prompt_tokens)
        self.tally("completion_tokens", sum(completion.tokens for completion in answer.completions))
        return answer

    def random(self, *purpose: str | int) -> Random:
        return Random(self._number(*purpose))

    def tally(self, name: str, amount: float = 1) -> None:
        self.tallies[name] += amount

    def _number(self, *purpose: str | int) -> int:
        # 48 bits leave room for sample indices below the 63 bits that engines take as a seed.
        return xxhash.xxh3_64_intdigest("\x00".join((self._seed, self._row_id, *map(str, purpose))).encode()) >> 16
