"""Calls to try a function with, written by a model or drawn from what it expects (arXiv 2407.12504, section 3.2)."""

import ast
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

from synth.pipelines.case2code.candidates import with_imports
from synth.pipelines.case2code.drawing import draw_calls
from synth.pipelines.case2code.evidence import Evidence
from synth.pipelines.case2code.expectation import expectations
from synth.pipelines.case2code.literals import Unreadable, read_arguments, write_call
from synth.pipelines.case2code.replies import examples_in
from synth.pipelines.case2code.signature import Signature, read_signature
from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, Unanswered, even_if_silent
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import INPUTS, RAW_FUNCTION

__all__ = ["Inputs", "InputsFrom"]

FOLDER = Path(__file__).parent

InputsFrom = Literal["model", "types", "both"]


@dataclass(frozen=True)
class Inputs(RowStage):
    """Up to `n` different calls for each function, written `dict(a=1, b='x')`; the row keeps its id.

    `inputs_from`: `model` asks for them, up to `tries` times until `min_inputs` can be used (the paper asks up to three
    times, until a reply is not empty); `types` draws them from annotations, defaults and uses, with no model; `both`
    fills up what the model leaves, a request without an answer included. A reply is parsed, never run: values are
    literals and a few constructors. The row has the reasoning before the last reply.

    A call that is not used is turned away: `not_a_call`, `not_a_literal`, `not_a_value`, `too_large`,
    `unknown_argument`, `missing_argument`, `duplicate_input`. A function is rejected before anything is asked if it
    cannot be read (`syntax_error`, `no_function`, `too_nested`) or uses a parameter as no such value can be used
    (`needs_object`); and as `too_few_inputs`, or for its last reply: `no_code`, `not_python`, `no_examples`, or
    `truncated`, `refused`, `empty_answer`.
    """

    name: ClassVar[str] = "case2code inputs"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = RAW_FUNCTION
    output: ClassVar[Record] = INPUTS

    prompt: Prompt = field(default_factory=lambda: Prompt.load("inputs", FOLDER))
    inputs_from: InputsFrom = "model"
    n: int = 10
    min_inputs: int = 2
    temperature: float = 0.2
    top_p: float = 0.95
    max_tokens: int = 2048
    tries: int = 3

    def __post_init__(self) -> None:
        if self.inputs_from not in get_args(InputsFrom):
            raise UsageError(f"--inputs-from {self.inputs_from} is none of {', '.join(get_args(InputsFrom))}")
        if self.min_inputs > self.n:
            raise UsageError(f"--min-inputs {self.min_inputs} is more than -n {self.n} asks for")
        if self.tries < 1:
            raise UsageError(f"--tries {self.tries} asks for nothing; it must be 1 or more")

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        code = with_imports(row["code"], row.get("import_code") or ())
        signature = read_signature(code, row["func_name"])
        expected = expectations(signature)
        _refuse_objects(signature, expected)
        calls = _Calls(signature, row)
        tries = 0
        fault: Reject | None = None
        reasoning: str | None = None
        while self.inputs_from != "types" and tries < self.tries and len(calls.origins) < self.min_inputs:
            fault = None
            try:
                completion = await self._ask(code, tools, tries)
                reasoning = completion.reasoning
                _read(completion, calls, self.n)
            except Unanswered as unanswered:
                fault = unanswered
                break
            except Reject as reject:
                fault = reject
            tries += 1
        if self.inputs_from != "model":
            missing = self.n - len(calls.origins)
            for call in draw_calls(signature, expected, tools.random("inputs"), missing, set(calls.origins)):
                calls.origins[write_call(call)] = "types"
        for turned_away in calls.turned_away:
            yield turned_away
        if len(calls.origins) < self.min_inputs:
            few = f"{plural(len(calls.origins), 'call')} can be used, {self.min_inputs} are needed"
            raise fault or Reject("too_few_inputs", few)
        origins = list(calls.origins.values())
        for origin in ("model", "types"):
            tools.tally(f"inputs_from_{origin}", origins.count(origin))
        yield {
            "id": row["id"],
            "code": code,
            "func_name": signature.name,
            "example_inputs": list(calls.origins),
            "input_origins": origins,
            "model": tools.model if tries else None,
            "tries": tries,
            "reasoning": reasoning,
        }

    async def _ask(self, code: str, tools: Tools, attempt: int) -> Completion:
        prompt = self.prompt.render(code=code.strip("\n"), n=self.n)
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        answer = await even_if_silent(tools.llm.generate(prompt, sampling, first_sample=attempt))
        (completion,) = answer.completions
        return completion


class _Calls:
    """The calls that can be used, with their origin, and those that a model wrote and that cannot."""

    def __init__(self, signature: Signature, row: Row) -> None:
        self._signature = signature
        self._row = row
        self.origins: dict[str, str] = {}
        self.turned_away: list[Rejected] = []

    def add(self, example: ast.expr) -> None:
        try:
            arguments = read_arguments(example)
        except Unreadable as unreadable:
            return self._turn_away(ast.unparse(example), unreadable.reason, unreadable.detail)
        call = write_call(arguments)
        if misfit := self._signature.misfit(set(arguments)):
            return self._turn_away(call, *misfit)
        if call in self.origins:
            return self._turn_away(call, "duplicate_input", "the same call stands before")
        self.origins[call] = "model"
        return None

    def _turn_away(self, call: str, reason: str, detail: str) -> None:
        turned_away = {
            "id": f"{self._row['id']}/call-{len(self.turned_away)}",
            "func_name": self._signature.name,
            "example_inputs": [call],
        }
        self.turned_away.append(Rejected(turned_away, reason, detail))


def _read(completion: Completion, calls: _Calls, most: int) -> None:
    """Add what a reply gives to `calls`, until there are `most`. Raises `Reject` where it cannot be read."""
    if completion.silence:
        raise Reject(*completion.silence)
    for example in examples_in(completion.text, is_cut=completion.finish_reason == "length"):
        if len(calls.origins) < most:
            calls.add(example)


def _refuse_objects(signature: Signature, expected: Mapping[str, Evidence]) -> None:
    objects = [one.name for one in signature.parameters if one.required and expected[one.name].needs_object]
    if objects:
        raise Reject("needs_object", f"{', '.join(objects)} must be an object that no literal stands for")
