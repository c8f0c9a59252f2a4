"""Functions that a model guessed from cases, judged on those and on hidden ones (arXiv 2407.12504, section 4)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec.structs import replace

from synth.pipelines.case2code.calls import UNMADE, Calls, PlainCalls, Ran, WrittenCalls
from synth.pipelines.case2code.given import Given, agree
from synth.pipelines.case2code.gold import why_it_differs
from synth.pipelines.case2code.layouts import outputs_of
from synth.pipelines.case2code.replies import function_in
from synth.pipelines.case2code.signature import read_signature, recorded_call
from synth.pipelines.engines import Answer, Completion, Sampling
from synth.pipelines.runtime.common_options import MaxTokens, MemoryMb, PromptFile, Seconds, Temperature, TopP
from synth.pipelines.runtime.declared import ByOption, Option, shipped
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, allow_empty
from synth.sandbox.verdict import Limits
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import EVALUATED, TEST

__all__ = ["EvaluateFunctions", "pass_at"]

FOLDER = Path(__file__).parent

# The calls that a rate may be over, each with the tally of the tasks that have such calls.
_PARTS = {"all": "tasks", "shown": "tasks", "hidden": "tasks_with_hidden"}


@dataclass(frozen=True)
class EvaluateFunctions(RowStage):
    """Have a model write the function of each task, and judge it on the cases shown and on the hidden ones.

    `n` samples for each task, run with all its inputs in the sandbox, which never sees what they should give.

    A sample is correct if each call gives the value that is recorded, or raises an error of the recorded type. Values
    are compared as Python writes them, but for the order of sets and of a dict's keys. (The published code compares
    errors with their text, which depends on Python's version, and what was printed.) The function that is called is
    the one of the task's name, or else the last one of the sample: a task does not always tell the name. (The published
    code takes the first one, which may be a helper.)

    Labels: `correct`; `wrong_on_hidden`, where all calls that the prompt shows are right; `wrong_output`; `no_code`;
    `refused`, `empty_answer`, or `truncated` where a sample was cut while it reasoned; or the sandbox's verdict where
    it did not run to its end: `load_error`, `timeout` and the others.

    The published test set is read as it is. Where a row has `example_str`, that is run in the sandbox to build inputs,
    and outputs are unquoted (see `calls` and `given`).

    The recorded function itself is judged first, and a task that it fails is rejected as `gold_differs`: recorded under
    another version of Python, or not deterministic. No sample could be right there but by luck, and no token is spent.
    Also rejected: `count_mismatch`, `unreadable_input`, `syntax_error`, `no_function`. With `gold` the recorded answer
    of each task is judged, and no model is asked.

    pass@k is the unbiased estimate from `n` samples (see `pass_at`), over all calls, over those shown, over the hidden
    ones. The paper's settings are the defaults: one sample at temperature 0, nucleus 0.95, 2,048 tokens.
    """

    name: ClassVar[str] = "case2code evaluate"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = TEST
    output: ClassVar[Record] = EVALUATED

    uses_engine = ByOption("gold", {False: True, True: False})
    uses_sandbox: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth case2code evaluate test-tasks/ scores/ --model Qwen/Qwen2.5-Coder-7B-Instruct",
        "synth case2code evaluate test-tasks/ scores/ --model tiny -n 10 --temperature 0.8 --k 1 --k 10",
    )

    prompt: PromptFile = shipped("evaluate", FOLDER)
    n: Annotated[int, Option("Samples for each task.", min=1, flag="-n", long="--samples")] = 1
    k: Annotated[
        tuple[int, ...],
        Option("Estimate pass@K. Repeatable.", min=1, metavar="K", read=lambda given: tuple(sorted(set(given)))),
    ] = (1,)
    temperature: Temperature = 0.0
    top_p: TopP = 0.95
    max_tokens: MaxTokens = 2048
    seconds: Seconds = 5.0
    memory_mb: MemoryMb = 512
    gold: Annotated[bool, Option("Judge the recorded answers; no model is asked.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n > 1 and self.temperature == 0:
            raise UsageError(f"-n {self.n} samples at --temperature 0 are all the same; raise --temperature")
        if not self.k:
            raise UsageError("no --k is given to estimate pass@K for")
        if max(self.k) > self.n:
            raise UsageError(f"--k {max(self.k)} needs as many samples, and -n {self.n} draws fewer")
        if self.gold and self.n > 1:
            raise UsageError(f"--gold judges the one recorded answer of each task, and -n {self.n} asks for more")

    @property
    def means(self) -> Mapping[str, str]:
        return {_name(k, part): of for k in self.k for part, of in _PARTS.items()}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        task = _Task.of(row)
        await self._refuse_wrong_gold(tools, task, row["code"])
        answer = await self._answer(tools, row)
        samples = []
        for completion in answer.completions:
            if completion.no_answer:
                samples.append(_Judged(*completion.no_answer, on_shown=False, on_hidden=False))
                continue
            try:
                code, entry = function_in(completion.text, task.func_name)
            except Reject as reject:
                samples.append(_Judged(reject.reason, reject.detail, on_shown=False, on_hidden=False))
            else:
                samples.append(task.judge(await self._run(tools, task, code, entry)))
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
            "model": None if self.gold else tools.model,
        }

    async def _answer(self, tools: Tools, row: Row) -> Answer:
        if self.gold:
            return Answer((Completion(row["output"] or row["code"], None, None),), None)
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        return await allow_empty(tools.llm.generate(self.prompt.render(prompt=row["prompt"]), sampling, n=self.n))

    async def _run(self, tools: Tools, task: "_Task", code: str, entry: str, profile: int = 0) -> Ran:
        program = task.calls.program(code, entry, Limits(seconds=self.seconds, memory_mb=self.memory_mb))
        return task.calls.ran(await tools.sandbox.run(replace(program, profile=profile)))

    async def _refuse_wrong_gold(self, tools: Tools, task: "_Task", code: str) -> None:
        ran = await self._run(tools, task, code, task.func_name)
        judged = task.judge(ran)
        if ran.status in UNMADE:
            raise Reject(ran.status, ran.detail)
        if ran.status != "ok":
            raise Reject("gold_differs", f"{ran.status}: {ran.detail or 'the function does not run to its end'}")
        for index in task.wrong(ran)[:1]:
            again = await self._run(tools, task, code, task.func_name, profile=1)
            given = ran.given[index] or Given()
            why = why_it_differs(task.func_name, given, again.given[index], task.outputs[index])
            raise Reject("gold_differs", f"{why}: {judged.detail}")


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
    calls: Calls
    outputs: Sequence[Given]
    shown: frozenset[int]

    @classmethod
    def of(cls, row: Row) -> "_Task":
        inputs, outputs, source = row["example_inputs"] or [], row["example_outputs"], row["example_str"]
        if not outputs or (not source and len(inputs) != len(outputs)):
            raise Reject("count_mismatch", f"{len(inputs)} inputs and {len(outputs)} outputs")
        func_name = read_signature(row["code"], row["func_name"]).name
        calls: Calls
        if source:
            calls = WrittenCalls.read(source, len(outputs))
        else:
            calls = PlainCalls(inputs, [recorded_call(call) for call in inputs])
        every = frozenset(range(len(outputs)))
        shown = every if row["shown"] is None else every.intersection(row["shown"])
        return cls(func_name, calls, outputs_of(row), shown)

    @property
    def has_hidden(self) -> bool:
        return len(self.shown) < len(self.outputs)

    def judge(self, ran: Ran) -> _Judged:
        wrong = self.wrong(ran)
        on_shown = self.shown.isdisjoint(wrong)
        on_hidden = self.shown.issuperset(wrong)
        if ran.status != "ok":
            return _Judged(ran.status, ran.detail, on_shown, on_hidden)
        if not wrong:
            return _Judged("correct", "", on_shown, on_hidden)
        index = wrong[0]
        given = "nothing" if ran.given[index] is None else ran.given[index]
        detail = f"{self.calls.texts[index]:.200} gave {given!s:.200}, not {self.outputs[index]!s:.200}"
        return _Judged("wrong_on_hidden" if on_shown else "wrong_output", detail, on_shown, on_hidden)

    def wrong(self, ran: Ran) -> list[int]:
        """The calls that did not give what is recorded."""
        pairs = zip(ran.given, self.outputs, strict=True)
        return [index for index, (given, output) in enumerate(pairs) if not agree(given, output)]
