"""What a row is handed to work with, and why it survives a crash.

Every answer goes to a journal as it arrives, under the row's id and a hash of the whole request and of the identity of
what gave it: the engine for texts, the sandbox for verdicts. When the command is repeated, the row's coroutine runs
again from its start and is given its recorded answers, so it arrives where it was without asking anything twice.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import xxhash

from synth.pipelines.engines import Answer, Message, Request, RequestFailed, Sampling
from synth.pipelines.engines.reasoning import opening_of, separated
from synth.pipelines.engines.shared import SharedEngine, tokens_of
from synth.pipelines.runtime.stage import NothingSaid, Reject, Unanswered
from synth.sandbox.verdict import Limits, Verdict
from synth.schemas.answers import ANSWERS, AnswerJournal
from synth.schemas.journal import read_journal

if TYPE_CHECKING:
    from synth.pipelines.runtime.programs import SharedSandbox

__all__ = ["RowTools", "tokens_in"]

_write_json = msgspec.json.Encoder().encode
_read_answer = msgspec.json.Decoder(Answer).decode
_read_verdict = msgspec.json.Decoder(Verdict).decode


def tokens_in(journal: Path) -> int:
    """The tokens of the prompts and completions that a journal of answers holds, as far as they are known."""
    journaled = read_journal(journal, ANSWERS).select(["request", "answer"]).to_pylist()
    return sum(
        tokens_of(_read_answer(row["answer"])) or 0 for row in journaled if row["request"].startswith('{"prompt"')
    )


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
        """See `synth.pipelines.runtime.stage.LLM`."""
        if self._engine is None:
            raise RuntimeError("this stage was run without an engine")
        request = Request(prompt, sampling, n, _number(self._seed, self._row_id, "sample") + first_sample, schema)
        asked = _write_json(request)
        recorded = self._answers.find(self._row_id, asked, self._engine.key)
        if recorded is None:
            try:
                answer = await self._engine.generate(request)
            except RequestFailed as failure:
                raise Unanswered(failure.reason, str(failure)) from None
            self._answers.record(self._row_id, asked, self._engine.key, _write_json(answer))
        else:
            answer = _read_answer(recorded)
        self._count(answer)
        opened = "" if schema else opening_of(prompt)
        said = tuple([separated(completion, opened) for completion in answer.completions])
        answer = Answer(said, answer.prompt_tokens)
        _refuse_nothing_said(answer)
        return answer

    def _count(self, answer: Answer) -> None:
        tallies = self.tallies
        tallies["requests"] += 1
        is_counted = answer.prompt_tokens is not None
        if answer.prompt_tokens is not None:
            tallies["prompt_tokens"] += answer.prompt_tokens
        for completion in answer.completions:
            if completion.tokens is None:
                is_counted = False
            else:
                tallies["completion_tokens"] += completion.tokens
        if not is_counted:
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
        """See `synth.pipelines.runtime.stage.Programs`."""
        if self._programs is None:
            raise RuntimeError("this stage was run without a sandbox")
        from synth.sandbox.values import Unencodable, encode_text

        try:
            texts = [encode_text([args, dict(kwargs)]) for args, kwargs in inputs]
        except Unencodable as error:
            raise Reject("refused", f"an input is no plain value: {error}") from None
        how = {"limits": asdict(limits), "profile": profile, "reverse": reverse}
        asked = _write_json({"program": program, "entry": entry, "inputs": texts, **how})
        recorded = self._answers.find(self._row_id, asked, self._programs.key)
        if recorded is None:
            verdict = await self._programs.run(program, entry, inputs, limits=limits, profile=profile, reverse=reverse)
            self._answers.record(self._row_id, asked, self._programs.key, _write_json(verdict))
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
