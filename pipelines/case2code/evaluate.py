"""Functions that a model guessed from cases, judged on those and on hidden ones (arXiv 2407.12504, section 4)."""

import ast
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from typing import Any, ClassVar

from pipelines.case2code.literals import Unreadable, read_value
from pipelines.case2code.replies import function_in
from pipelines.case2code.signature import as_called, read_signature, recorded_call
from pipelines.engines import Sampling
from pipelines.prompts import Prompt
from pipelines.stage import Reject, Row, RowStage, Tools, even_if_silent
from sandbox.values import encode, equal, shown
from sandbox.verdict import Limits, Outcome, Verdict
from schemas.errors import UsageError
from schemas.record import Record
from schemas.records import COMPOSED, EVALUATED

__all__ = ["Evaluate", "pass_at"]

FOLDER = Path(__file__).parent

# The calls that a rate may be over, each with the tally of the tasks that have such calls.
_PARTS = {"all": "tasks", "shown": "tasks", "hidden": "tasks_with_hidden"}


@dataclass(frozen=True)
class Evaluate(RowStage):
    """`n` samples for each task, run with all its inputs in the sandbox, which never sees what they should give.

    A sample is correct if each call gives the value that is recorded, or raises an error of the recorded type. Values
    are compared as Python writes them, but for the order of sets and of a dict's keys. (The published code compares
    errors with their text, which depends on Python's version, and what was printed.) The function that is called is
    the one of the task's name, or else the last one of the sample: a task does not always tell the name. (The published
    code takes the first one, which may be a helper.)

    Labels: `correct`; `wrong_on_hidden`, where all calls that the prompt shows are right; `wrong_output`; `no_code`;
    `refused`, `empty_answer`, or `truncated` where a sample was cut while it reasoned; or the sandbox's verdict where
    it did not run to its end: `load_error`, `timeout` and the others.

    The recorded function itself is judged first, and a task that it fails is rejected as `gold_differs`: recorded under
    another version of Python, or not deterministic. No sample could be right there but by luck, and no token is spent.
    Also rejected: `count_mismatch`, `unreadable_input`, `syntax_error`, `no_function`, `prompt_too_long`.

    pass@k is the unbiased estimate from `n` samples (see `pass_at`), over all calls, over those shown, over the hidden
    ones. The paper's settings are the defaults: one sample at temperature 0, nucleus 0.95, 2,048 tokens.
    """

    name: ClassVar[str] = "case2code evaluate"
    input: ClassVar[Record] = COMPOSED
    output: ClassVar[Record] = EVALUATED

    prompt: Prompt = field(default_factory=lambda: Prompt.load("evaluate", FOLDER))
    n: int = 1
    k: tuple[int, ...] = (1,)
    temperature: float = 0.0
    top_p: float = 0.95
    max_tokens: int = 2048
    seconds: float = 5.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        if self.n > 1 and self.temperature == 0:
            raise UsageError(f"-n {self.n} samples at --temperature 0 are all the same; raise --temperature")
        if not self.k or min(self.k) < 1:
            raise UsageError(f"--k {min(self.k, default='')} is no number of samples; it must be 1 or more")
        if max(self.k) > self.n:
            raise UsageError(f"--k {max(self.k)} needs as many samples, and -n {self.n} draws fewer")

    @property
    def means(self) -> Mapping[str, str]:
        return {_name(k, part): of for k in self.k for part, of in _PARTS.items()}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        task = _Task.of(row)
        gold = await self._judge(tools, task, row["code"], task.func_name)
        if gold.label != "correct":
            raise Reject("gold_differs", f"{gold.label}: {gold.detail}")
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        answer = await even_if_silent(tools.llm.generate(self.prompt.render(prompt=row["prompt"]), sampling, n=self.n))
        samples = []
        for completion in answer.completions:
            if completion.silence:
                samples.append(_Judged(*completion.silence, on_shown=False, on_hidden=False))
                continue
            try:
                code, entry = function_in(completion.text, task.func_name)
            except Reject as reject:
                samples.append(_Judged(reject.reason, reject.detail, on_shown=False, on_hidden=False))
            else:
                samples.append(await self._judge(tools, task, code, entry))
        right = {"all": sum(one.label == "correct" for one in samples), "shown": sum(one.on_shown for one in samples)}
        if task.has_hidden:
            right["hidden"] = sum(one.on_hidden for one in samples)
        rates = {k: {part: pass_at(k, self.n, count) for part, count in right.items()} for k in self.k}
        tools.tally("tasks")
        tools.tally("tasks_with_hidden", task.has_hidden)
        for one in samples:
            tools.tally(one.label)
        for k, parts in rates.items():
            for part, rate in parts.items():
                tools.tally(_name(k, part), rate)
        yield {
            "id": row["id"],
            "func_name": task.func_name,
            "responses": [completion.text for completion in answer.completions],
            "reasonings": [completion.reasoning for completion in answer.completions],
            "labels": [one.label for one in samples],
            "details": [one.detail for one in samples],
            "right_on_shown": [one.on_shown for one in samples],
            "right_on_hidden": [one.on_hidden for one in samples] if task.has_hidden else None,
            "n": self.n,
            "correct": right["all"],
            "pass_at": [{"k": k, **parts} for k, parts in rates.items()],
            "model": tools.model,
        }

    async def _judge(self, tools: Tools, task: "_Task", code: str, entry: str) -> "_Judged":
        limits = Limits(seconds=self.seconds, memory_mb=self.memory_mb)
        return task.judge(await tools.sandbox.run(code, entry, as_called(code, entry, task.calls), limits=limits))


def pass_at(k: int, n: int, correct: int) -> float:
    """The chance that a correct one is among `k` out of `n` samples (arXiv 2107.03374, section 2.1)."""
    return 1 - comb(n - correct, k) / comb(n, k)


def _name(k: int, part: str) -> str:
    """What a rate is called among the tallies."""
    return f"pass@{k}" if part == "all" else f"pass@{k}_{part}"


@dataclass(frozen=True)
class _Judged:
    """A sample with its label, why it is not correct, and whether it is right on the calls shown and on the others."""

    label: str
    detail: str
    on_shown: bool
    on_hidden: bool


@dataclass(frozen=True)
class _Task:
    """The calls of a task, what they should give, and which of them the prompt shows."""

    func_name: str
    texts: Sequence[str]
    calls: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, str | None]]
    shown: frozenset[int]

    @classmethod
    def of(cls, row: Row) -> "_Task":
        inputs, outputs = row["example_inputs"], row["example_outputs"]
        if not 0 < len(inputs) == len(outputs):
            raise Reject("count_mismatch", f"{len(inputs)} inputs and {len(outputs)} outputs")
        func_name = read_signature(row["code"], row["func_name"]).name
        calls = [recorded_call(call) for call in inputs]
        return cls(func_name, inputs, calls, outputs, frozenset(range(len(inputs))).intersection(row["shown"]))

    @property
    def has_hidden(self) -> bool:
        return len(self.shown) < len(self.calls)

    def judge(self, verdict: Verdict) -> _Judged:
        wrong = {
            index: outcome
            for index, (outcome, output) in enumerate(zip(verdict.outcomes, self.outputs, strict=True))
            if not _agrees(outcome, output)
        }
        on_shown = self.shown.isdisjoint(wrong)
        on_hidden = self.shown.issuperset(wrong)
        if verdict.status != "ok":
            return _Judged(verdict.status, verdict.detail, on_shown, on_hidden)
        if not wrong:
            return _Judged("correct", "", on_shown, on_hidden)
        index, outcome = next(iter(wrong.items()))
        output = self.outputs[index]
        expected = output["return"] or output["error"] or "what is not recorded"
        detail = f"{self.texts[index]:.200} gave {_told(outcome)}, not {expected:.200}"
        return _Judged("wrong_on_hidden" if on_shown else "wrong_output", detail, on_shown, on_hidden)


def _agrees(outcome: Outcome | None, output: Mapping[str, str | None]) -> bool:
    """Whether a call gave what is recorded."""
    match outcome, output:
        case Outcome(kind="exception", data=error), {"error": str(recorded)}:
            return bool(error == recorded.partition(":")[0])
        case Outcome(kind="value", data=canonical), {"return": str(recorded), "error": None}:
            return shown(canonical) == recorded or _is_value_of(canonical, recorded)
    return False


def _is_value_of(canonical: Any, text: str) -> bool:
    """Whether a text is a literal of this value, with its sets and dicts in whatever order."""
    try:
        return equal(canonical, encode(read_value(ast.parse(text, mode="eval").body)))
    except (SyntaxError, ValueError, RecursionError, MemoryError, Unreadable):
        return False


def _told(outcome: Outcome | None) -> str:
    if outcome is None:
        return "nothing"
    return f"{shown(outcome.data) if outcome.kind == 'value' else outcome.data:.200}"
