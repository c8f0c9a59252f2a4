"""Judge functions that a model infers from examples, on these and on hidden ones (arXiv 2407.12504, section 4)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec.structs import replace

from synth.pipelines.case2code.calls import INPUT_FAULTS, CallResults, Calls, PlainCalls, WrittenCalls
from synth.pipelines.case2code.layouts import outputs_of
from synth.pipelines.case2code.replies import function_in
from synth.pipelines.case2code.results import CallResult, agree, likely_cause
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

# The sets of calls that rates are computed over, each with the tally of the tasks that have such calls.
_PARTS = {"all": "tasks", "shown": "tasks", "hidden": "tasks_with_hidden"}


@dataclass(frozen=True)
class EvaluateFunctions(RowStage):
    """Have a model write the function of each task, and judge it on the shown and the hidden examples.

    Draws `n` samples for each task and runs them with all its inputs in the sandbox, which never sees the expected
    outputs.

    A sample is correct if each call returns the recorded value, or raises an error of the recorded type. Values are
    compared by their `repr`, ignoring the order of sets and dict keys. (The published code also compares printed text
    and error messages, which depend on Python's version.) The function with the task's name is called, else the last
    one of the sample, because not every task mentions the name. (The published code calls the first one, which may be
    a helper.)

    Labels: `correct`; `wrong_on_hidden` if all calls in the prompt are right; `wrong_output`; `no_code`; `refused`,
    `empty_answer`, or `truncated` if the token limit cut the reasoning; or the sandbox's verdict on a sample that did
    not finish: `load_error`, `timeout` and the others.

    Reads the published test set unchanged. If a row has `example_str`, that is run in the sandbox to build the inputs,
    and outputs are unquoted (see `calls` and `results`).

    The recorded function is judged first, before any token is spent. A task that it fails is rejected as
    `gold_differs`: recorded under another version of Python, or nondeterministic. Also rejected: `count_mismatch`,
    `unreadable_input`, `syntax_error`, `too_nested`, `no_function`. With `gold`, the recorded answer of each task
    is judged, and no model is asked.

    pass@k is the unbiased estimate from `n` samples (see `pass_at`), over all calls, the shown ones and the hidden
    ones. The defaults are the paper's settings: one sample at temperature 0, top-p 0.95, 2,048 tokens.
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
    k: Annotated[tuple[int, ...], Option("Estimate pass@K. Repeatable.", min=1, metavar="K")] = (1,)
    temperature: Temperature = 0.0
    top_p: TopP = 0.95
    max_tokens: MaxTokens = 2048
    seconds: Seconds = 5.0
    memory_mb: MemoryMb = 512
    gold: Annotated[bool, Option("Judge the recorded answers; no model is asked.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "k", tuple(sorted(set(self.k))))
        if self.n > 1 and self.temperature == 0:
            raise UsageError(f"-n {self.n} samples at --temperature 0 are all the same; raise --temperature")
        if not self.k:
            raise UsageError("--k is needed to estimate pass@K")
        if max(self.k) > self.n:
            raise UsageError(f"--k {max(self.k)} needs at least {max(self.k)} samples, but -n is {self.n}")
        if self.gold and self.n > 1:
            raise UsageError(f"--gold judges the one recorded answer of each task: -n must be 1, not {self.n}")

    @property
    def means(self) -> Mapping[str, str]:
        return {_tally_name(k, part): of for k in self.k for part, of in _PARTS.items()}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        task = _Task.of(row)
        await self._check_gold(tools, task, row["code"])
        answer = await self._answer(tools, row)
        samples = [await self._judge(tools, task, completion) for completion in answer.completions]
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
                tools.tally(_tally_name(k, part), rate)
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

    async def _judge(self, tools: Tools, task: "_Task", completion: Completion) -> "_Judged":
        if completion.no_answer:
            return _Judged(*completion.no_answer)
        try:
            code, entry = function_in(completion.text, task.func_name)
        except Reject as reject:
            return _Judged(reject.reason, reject.detail)
        return task.judge(await self._run(tools, task, code, entry))

    async def _run(self, tools: Tools, task: "_Task", code: str, entry: str, profile: int = 0) -> CallResults:
        program = task.calls.program(code, entry, Limits(seconds=self.seconds, memory_mb=self.memory_mb))
        return task.calls.results(await tools.sandbox.run(replace(program, profile=profile)))

    async def _check_gold(self, tools: Tools, task: "_Task", code: str) -> None:
        ran = await self._run(tools, task, code, task.func_name)
        if ran.status in INPUT_FAULTS:
            raise Reject(ran.status, ran.detail)
        if ran.status != "ok":
            raise Reject("gold_differs", f"{ran.status}: {ran.detail or 'the function does not run to its end'}")
        if wrong := task.wrong(ran):
            index = wrong[0]
            rerun = await self._run(tools, task, code, task.func_name, profile=1)
            result = ran.results[index] or CallResult()
            cause = likely_cause(task.func_name, result, rerun.results[index], task.outputs[index])
            raise Reject("gold_differs", f"{cause}: {task.judge(ran).detail}")


def pass_at(k: int, n: int, correct: int) -> float:
    """The chance that at least one of `k` out of `n` samples is correct (arXiv 2107.03374, section 2.1)."""
    return 1 - comb(n - correct, k) / comb(n, k)


def _tally_name(k: int, part: str) -> str:
    return f"pass@{k}" if part == "all" else f"pass@{k}_{part}"


@dataclass(frozen=True)
class _Judged:
    """The label of a sample, the reason for it, and whether the sample is right on the shown and the hidden calls."""

    label: str
    detail: str
    on_shown: bool = False
    on_hidden: bool = False


@dataclass(frozen=True)
class _Task:
    """The calls of a task, their expected results, and the indices of those that the prompt shows."""

    func_name: str
    calls: Calls
    outputs: Sequence[CallResult]
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

    def judge(self, ran: CallResults) -> _Judged:
        wrong = self.wrong(ran)
        on_shown = self.shown.isdisjoint(wrong)
        on_hidden = self.shown.issuperset(wrong)
        if ran.status != "ok":
            return _Judged(ran.status, ran.detail, on_shown, on_hidden)
        if not wrong:
            return _Judged("correct", "", on_shown, on_hidden)
        index = wrong[0]
        result = "nothing" if ran.results[index] is None else ran.results[index]
        detail = f"{self.calls.texts[index]:.200} gave {result!s:.200}, not {self.outputs[index]!s:.200}"
        return _Judged("wrong_on_hidden" if on_shown else "wrong_output", detail, on_shown, on_hidden)

    def wrong(self, ran: CallResults) -> list[int]:
        """The indices of the calls whose results differ from the recorded ones."""
        pairs = zip(ran.results, self.outputs, strict=True)
        return [index for index, (result, output) in enumerate(pairs) if not agree(result, output)]
