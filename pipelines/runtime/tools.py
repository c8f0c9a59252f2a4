"""What a row is handed to work with, and why it survives a crash.

Every answer goes to a journal as it arrives, under the row's id and a hash of the whole request and of the identity of
what gave it: the engine for texts, the sandbox for verdicts, the index for documents. When the command is repeated, the
row's coroutine runs again from its start and is given its recorded answers, so it arrives where it was without asking
anything twice.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import xxhash

from synth.pipelines.engines import Answer, Message, Request, RequestFailed, Sampling
from synth.pipelines.engines.reasoning import opening_of, separated
from synth.pipelines.retrieval.lookup import Found, Query
from synth.pipelines.runtime.outcomes import NothingSaid, Reject, Unanswered
from synth.sandbox.program import Program
from synth.sandbox.verdict import Verdict
from synth.schemas.answers import ANSWERS, AnswerJournal
from synth.schemas.journal import read_journal

if TYPE_CHECKING:
    from synth.pipelines.runtime.shared import SharedPlug

__all__ = ["Tools", "tokens_in"]

_write_json = msgspec.json.Encoder().encode
_read_answer = msgspec.json.Decoder(Answer).decode
_read_verdict = msgspec.json.Decoder(Verdict).decode
_read_found = msgspec.json.Decoder(Found).decode

Asked = TypeVar("Asked")
Given = TypeVar("Given")


def tokens_in(journal: Path) -> int:
    """The tokens of the prompts and completions that a journal of answers holds, as far as they are known."""
    journaled = read_journal(journal, ANSWERS).select(["request", "answer"]).to_pylist()
    return sum(_read_answer(row["answer"]).tokens or 0 for row in journaled if row["request"].startswith('{"prompt"'))


class Tools:
    """The tools of one row. It is its own `llm` and `sandbox`: what they answer belongs to the row that asked.

    `model` is the model's name, for columns that record it.
    """

    __slots__ = ("_answers", "_engine", "_index", "_row_id", "_sandbox", "_seed", "model", "tallies")

    def __init__(
        self,
        row_id: str,
        seed: str,
        model: str,
        engine: "SharedPlug[Request, Answer] | None",
        sandbox: "SharedPlug[Program, Verdict] | None",
        index: "SharedPlug[Query, Found] | None",
        answers: AnswerJournal,
    ) -> None:
        self._row_id = row_id
        self._seed = seed
        self._engine = engine
        self._sandbox = sandbox
        self._index = index
        self._answers = answers
        self.model = model
        self.tallies: dict[str, float] = {}

    @property
    def llm(self) -> "Tools":
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
        """Draw samples `first_sample` to `first_sample + n - 1` of `prompt`.

        Sample `i` depends on (run seed, stage, row id, `i`) and the request alone: drawing 4 and 4 more gives what
        drawing 8 gives, and a second try at the same prompt asks for the next sample. Texts of the completions are
        answers: reasoning is in a field of its own.

        Raises `Unanswered`: `prompt_too_long` where the prompt leaves no room in the model's context, `refused` where
        the engine does not accept the request, `engine_error` where this request alone makes it fail. Raises
        `NothingSaid` as `refused` where the model or a filter declines every completion, and as `empty_answer` where
        all are blank. A completion that the token limit cut while it reasoned is left to the stage (`truncated`), and
        so are silent ones among others: see `Completion.silence`.
        """
        if self._engine is None:
            raise RuntimeError("this stage was run without an engine")
        request = Request(prompt, sampling, n, _number(self._seed, self._row_id, "sample") + first_sample, schema)
        try:
            answer = await self._asked(self._engine, request, _read_answer)
        except RequestFailed as failure:
            raise Unanswered(failure.reason, str(failure)) from None
        self._count(answer)
        opened = "" if schema else opening_of(prompt)
        said = tuple([separated(completion, opened) for completion in answer.completions])
        answer = Answer(said, answer.prompt_tokens)
        _refuse_nothing_said(answer)
        return answer

    @property
    def sandbox(self) -> "Tools":
        return self

    async def run(self, program: Program) -> Verdict:
        """What the sandbox says of a program. Raises `Reject` as `refused` where an input is no plain value."""
        if self._sandbox is None:
            raise RuntimeError("this stage was run without a sandbox")
        if program.unplain:
            raise Reject("refused", program.unplain)
        self.tally("programs")
        return await self._asked(self._sandbox, program, _read_verdict)

    async def search(self, query: str, k: int) -> Found:
        """Up to `k` documents of the run's index for a query, the best first."""
        if self._index is None:
            raise RuntimeError("this stage was run without an index")
        self.tally("searches")
        return await self._asked(self._index, Query(query, k), _read_found)

    def random(self, *purpose: str | int) -> Random:
        """A generator seeded by (run seed, stage, row id, purpose)."""
        return Random(_number(self._seed, self._row_id, *map(str, purpose)))

    def tally(self, name: str, amount: float = 1) -> None:
        """Add to a count that is summed over all rows into `synth.json` and the end-of-run summary."""
        self.tallies[name] = self.tallies.get(name, 0.0) + amount

    async def _asked(self, plug: "SharedPlug[Asked, Given]", request: Asked, read: Callable[[str], Given]) -> Given:
        """The answer that is recorded for this row, or that the plug gives and that is recorded now."""
        text = _write_json(request)
        recorded = self._answers.find(self._row_id, text, plug.key)
        if recorded is not None:
            return read(recorded)
        answer = await plug.answer(request)
        self._answers.record(self._row_id, text, plug.key, _write_json(answer))
        return answer

    def _count(self, answer: Answer) -> None:
        known = [tokens for completion in answer.completions if (tokens := completion.tokens) is not None]
        self.tally("requests")
        if answer.prompt_tokens is not None:
            self.tally("prompt_tokens", answer.prompt_tokens)
        if known:
            self.tally("completion_tokens", sum(known))
        if answer.prompt_tokens is None or len(known) < len(answer.completions):
            self.tally("uncounted_requests")


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
