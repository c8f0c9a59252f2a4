"""The tools of a row (model, sandbox, search, reward model, randomness), whose answers survive a crash.

Every answer is journaled as it arrives. Its key is the row id, a hash of the request, and the identity of the backend
that answered: engine, sandbox, index or reward model. On resume the row's coroutine starts over and gets its recorded
answers, so it reaches the point where it was interrupted without repeating a request.
"""

from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import xxhash
from msgspec.structs import replace

from synth.pipelines.engines import (
    Answer,
    Completion,
    Message,
    Request,
    RequestFailed,
    Sampling,
    Scores,
    Windows,
)
from synth.pipelines.engines.reasoning import opening_marker, separate_reasoning
from synth.pipelines.engines.reward import Conversation, Reward
from synth.pipelines.retrieval.lookup import Found, Query
from synth.pipelines.runtime.outcomes import EmptyAnswer, Reject, Unanswered, last_completions
from synth.sandbox.program import Program
from synth.sandbox.verdict import Verdict
from synth.schemas.answers import AnswerJournal

if TYPE_CHECKING:
    from synth.pipelines.runtime.shared import SharedBackend, SharedBackends

__all__ = ["REUSED", "Tools"]

# The tally of tokens in answers of earlier runs. It depends on what was there before rather than on the row, so it is
# part of the cost in the record, and not of the counts.
REUSED = "reused_tokens"

_write_json = msgspec.json.Encoder().encode
_read_request = msgspec.json.Decoder(Request).decode
_read_answer = msgspec.json.Decoder(Answer).decode
_read_verdict = msgspec.json.Decoder(Verdict).decode
_read_found = msgspec.json.Decoder(Found).decode
_read_reward = msgspec.json.Decoder(Reward).decode

T = TypeVar("T")
U = TypeVar("U")


class Tools:
    """The tools of one row, `llm` and `sandbox` included. `model` is the model's name, for columns that record it."""

    __slots__ = ("_answers", "_backends", "_row_id", "_seed", "model", "tallies")

    def __init__(
        self,
        row_id: str,
        seed: str,
        model: str,
        backends: "SharedBackends",
        answers: AnswerJournal,
    ) -> None:
        self._row_id = row_id
        self._seed = seed
        self._backends = backends
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
        tools: tuple[Mapping[str, Any], ...] = (),
    ) -> Answer:
        """Draw samples `first_sample` to `first_sample + n - 1` of `prompt`.

        Sample `i` depends only on the run seed, stage, row id, `i` and the request: drawing 4 samples and then 4 more
        equals drawing 8, and a retry of the same prompt draws the next sample. Reasoning is separated from the text of
        each completion.

        Raises `Unanswered`: `prompt_too_long` if the prompt exceeds the model's context, `refused` if the engine
        rejects the request, `engine_error` if only this request fails. Raises `EmptyAnswer`: `refused` if the model or
        a filter declines every completion, `empty_answer` if all are blank. The stage handles a completion cut while
        reasoning (`truncated`), and blank or refused ones among others: see `Completion.no_answer`.
        """
        if (engine := self._backends.engine) is None:
            raise RuntimeError("this stage was run without an engine")
        request = Request(prompt, sampling, n, _number(self._seed, self._row_id, "sample") + first_sample, schema)
        if tools:
            request = replace(request, tools=tools)
        try:
            answer = await self._sampled(engine, request)
        except RequestFailed as failure:
            last_completions.set(())
            raise Unanswered(failure.reason, str(failure)) from None
        self._count(answer)
        opened = "" if schema else opening_marker(prompt)
        completions = tuple([separate_reasoning(one, opened) for one in answer.completions])
        last_completions.set(completions)
        answer = Answer(completions, answer.prompt_tokens)
        _require_an_answer(answer)
        return answer

    async def score_text(self, text: str, windows: Windows) -> Scores:
        """The negative log-likelihood of a text under the model.

        Raises `Unanswered`: `prompt_too_long` if a window exceeds the model's context, `engine_error`, `refused`.
        """
        if (engine := self._backends.engine) is None:
            raise RuntimeError("this stage was run without an engine")
        try:
            answer = await self._sampled(engine, Request.to_score(text, windows))
        except RequestFailed as failure:
            raise Unanswered(failure.reason, str(failure)) from None
        self._count(answer)
        assert answer.scores, "it was proved that the engine gives scores"
        return answer.scores

    @property
    def sandbox(self) -> "Tools":
        return self

    async def run(self, program: Program) -> Verdict:
        """Run a program in the sandbox. Raises `Reject` (`refused`) if an input is not a plain value."""
        if (sandbox := self._backends.sandbox) is None:
            raise RuntimeError("this stage was run without a sandbox")
        if program.input_error:
            raise Reject("refused", program.input_error)
        self.tally("programs")
        return await self._answer(sandbox, program, _read_verdict)

    async def search(self, query: str, k: int) -> Found:
        """Up to `k` documents of the run's index for a query, best first."""
        if (index := self._backends.search) is None:
            raise RuntimeError("this stage was run without an index")
        self.tally("searches")
        return await self._answer(index, Query(query, k), _read_found)

    async def score(self, messages: tuple[Message, ...]) -> float:
        """The score of a conversation by the run's reward model; higher is better.

        Raises `Unanswered`: `prompt_too_long`, `refused` by the model's template, or `engine_error`.
        """
        if (scorer := self._backends.scorer) is None:
            raise RuntimeError("this stage was run without a reward model")
        try:
            reward = await self._answer(scorer, Conversation(messages), _read_reward)
        except RequestFailed as failure:
            raise Unanswered(failure.reason, str(failure)) from None
        self.tally("scored_tokens", reward.tokens)
        return reward.score

    def random(self, *purpose: str | int) -> Random:
        """A generator seeded by (run seed, stage, row id, purpose)."""
        return Random(_number(self._seed, self._row_id, *map(str, purpose)))

    def tally(self, name: str, amount: float = 1) -> None:
        """Add to a count that is summed over all rows into `synth.json` and the end-of-run summary."""
        self.tallies[name] = self.tallies.get(name, 0) + amount

    def _sampled(self, engine: "SharedBackend[Request, Answer]", request: Request) -> Coroutine[Any, Any, Answer]:
        """The answer to a request; samples that an earlier run drew for another number of them are not drawn again."""
        if self._answers.knows(self._row_id):
            return self._completed(engine, request)
        return self._answer(engine, request, _read_answer)

    async def _completed(self, engine: "SharedBackend[Request, Answer]", request: Request) -> Answer:
        if recorded := self._answers.find(self._row_id, _write_json(request), engine.key):
            answer = _read_answer(recorded.answer)
            if recorded.is_reused:
                self._reuse(answer.prompt_tokens, *answer.completions)
            return answer
        drawn, prompt_tokens = self._drawn(engine, request)
        if not drawn:
            return await self._answer(engine, request, _read_answer)
        recalled = Answer(drawn, prompt_tokens)
        if (rest := request.after(recalled)) is None:
            return recalled
        return recalled.joined(await self._answer(engine, rest, _read_answer))

    def _drawn(
        self, engine: "SharedBackend[Request, Answer]", request: Request
    ) -> tuple[tuple[Completion, ...], int | None]:
        """The first samples of a request, as far as they are recorded, and the tokens of its prompt."""
        recorded = [
            (earlier, _read_answer(one.answer), one.is_reused)
            for one in self._answers.recorded(self._row_id, engine.key)
            if replace(earlier := _read_request(one.request), n=request.n, seed=request.seed) == request
        ]
        drawn: list[Completion] = []
        prompt_tokens = None
        while len(drawn) < request.n:
            place = request.seed + len(drawn)
            found = next((one for one in recorded if 0 <= place - one[0].seed < len(one[1].completions)), None)
            if found is None:
                break
            earlier, answer, is_reused = found
            more = answer.completions[place - earlier.seed :][: request.n - len(drawn)]
            drawn += more
            prompt_tokens = answer.prompt_tokens
            if is_reused:
                # If samples are missing, the prompt is sent again.
                self._reuse(prompt_tokens if len(drawn) == request.n else None, *more)
        return tuple(drawn), prompt_tokens

    def _reuse(self, prompt_tokens: int | None, *completions: Completion) -> None:
        if tokens := (prompt_tokens or 0) + sum(completion.tokens or 0 for completion in completions):
            self.tally(REUSED, tokens)

    async def _answer(self, backend: "SharedBackend[T, U]", request: T, read: Callable[[str], U]) -> U:
        """The journaled answer to this request, or a new one, which is then journaled."""
        text = _write_json(request)
        recorded = self._answers.find(self._row_id, text, backend.key)
        if recorded is not None:
            return read(recorded.answer)
        answer = await backend.answer(request)
        self._answers.record(self._row_id, text, backend.key, _write_json(answer))
        return answer

    def _count(self, answer: Answer) -> None:
        tokens, are_known = answer.counted
        if are_known and not self.tallies:
            # Fast path: the first answer of most rows.
            self.tallies = {"requests": 1, "prompt_tokens": answer.prompt_tokens or 0, "completion_tokens": tokens}
            return
        self.tally("requests")
        if answer.prompt_tokens is not None:
            self.tally("prompt_tokens", answer.prompt_tokens)
        if tokens or are_known:
            self.tally("completion_tokens", tokens)
        if not are_known:
            self.tally("uncounted_requests")


def _require_an_answer(answer: Answer) -> None:
    """Raises `EmptyAnswer` if every completion is blank or refused, unless the token limit cut one while reasoning."""
    reasons: dict[str, str] = {}
    for completion in answer.completions:
        if completion.no_answer is None or completion.cut:
            return
        reasons.update([completion.no_answer])
    reason = "refused" if "refused" in reasons else "empty_answer"
    raise EmptyAnswer(reason, reasons[reason], answer)


def _number(*words: str) -> int:
    # 48 bits leave room for sample indices below the 63 bits that engines take as a seed.
    return xxhash.xxh3_64_intdigest("\x00".join(words).encode()) >> 16
