"""Calls to try a function with, written by a model or drawn from expected types (arXiv 2407.12504, section 3.2)."""

import ast
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from synth.pipelines.case2code.candidates import with_imports
from synth.pipelines.case2code.drawing import draw_calls
from synth.pipelines.case2code.evidence import Evidence
from synth.pipelines.case2code.expectation import expectations
from synth.pipelines.case2code.forms import as_expected, form_of_calls
from synth.pipelines.case2code.literals import read_arguments, source_of, write_call, write_value
from synth.pipelines.case2code.replies import examples_in
from synth.pipelines.case2code.signature import Signature, read_signature
from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import Ask
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, TopP, Tries
from synth.pipelines.runtime.declared import ByOption, Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.pipelines.runtime.text.json_values import json_in
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import INPUTS, RAW_FUNCTION

__all__ = ["Inputs", "InputsFrom"]

FOLDER = Path(__file__).parent

InputsFrom = Literal["model", "types", "both"]


@dataclass(frozen=True)
class Inputs(RowStage):
    """Find calls to try each function with.

    Up to `n` different calls for each function, written as `dict(a=1, b='x')`; the row keeps its id.

    `inputs_from`: `model` asks a model, up to `tries` times until `min_inputs` calls are usable (the paper asks up to
    three times, until a reply is not empty); `types` derives calls from annotations, defaults and uses, without a
    model; `both` adds derived calls to those of the model, also if no reply can be obtained. Replies are parsed, never
    run: values are literals and a few constructors. With `schema`, a reply is a JSON object whose values are held to
    the expected types; tuples, sets and bytes are read from lists and texts. The row stores the reasoning before the
    last reply.

    Unusable calls are filtered: `not_a_call`, `not_a_literal`, `not_a_value`, `too_large`, `unknown_argument`,
    `missing_argument`, `duplicate_input`. A function is rejected before any request if it cannot be parsed
    (`syntax_error`, `no_function`, `too_nested`) or uses a parameter as no literal value can be used (`needs_object`);
    later as `too_few_inputs`, or for its last reply: `no_code`, `not_python`, `no_examples`, `truncated`, `refused` or
    `empty_answer`.
    """

    name: ClassVar[str] = "case2code inputs"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = RAW_FUNCTION
    output: ClassVar[Record] = INPUTS

    uses_engine = ByOption("inputs_from", {"model": True, "both": True, "types": False})
    commands: ClassVar[tuple[str, ...]] = (
        "synth case2code inputs functions/ inputs/ --model Qwen/Qwen2.5-Coder-7B-Instruct",
        "synth case2code inputs functions/ inputs/ --inputs-from types -n 20",
    )

    prompt: Annotated[
        PromptFile,
        Option("A prompt file, or the name of a shipped prompt; `inputs-plain` suits base models.", metavar="FILE"),
    ] = shipped("inputs", FOLDER)
    inputs_from: Annotated[
        InputsFrom, Option("Calls are written by a model, derived from expected types, or both.")
    ] = "model"
    n: Annotated[int, Option("Calls for each function.", min=1, flag="-n", long="--inputs")] = 10
    min_inputs: Annotated[int, Option("Calls that must be usable.", min=1)] = 2
    temperature: Temperature = 0.2
    top_p: TopP = 0.95
    max_tokens: MaxTokens = 2048
    schema: Schema = False
    tries: Tries = 3
    repairs: Repairs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_inputs > self.n:
            raise UsageError(f"--min-inputs {self.min_inputs} is more than -n {self.n}")

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        code = with_imports(row["code"], row.get("import_code") or ())
        signature = read_signature(code, row["func_name"])
        expected = expectations(signature)
        if objects := [one.name for one in signature.parameters if one.required and expected[one.name].needs_object]:
            raise Reject("needs_object", f"{', '.join(objects)} must be an object that no literal stands for")
        calls = _Calls(signature, expected, row)
        fault: Reject | None = None
        if self.inputs_from != "types" and self.min_inputs > 0:
            try:
                await self._ask(code, calls, tools)
            except Reject as reject:
                fault = reject
        if self.inputs_from != "model":
            missing = self.n - len(calls.origins)
            for call in draw_calls(signature, expected, tools.random("inputs"), missing, set(calls.origins)):
                calls.origins[write_call(call)] = "types"
        for filtered in calls.filtered:
            yield filtered
        if few := calls.fewer_than(self.min_inputs):
            raise few if fault is None or fault.reason == few.reason else fault
        origins = list(calls.origins.values())
        for origin in ("model", "types"):
            tools.tally(f"inputs_from_{origin}", origins.count(origin))
        yield {
            "id": row["id"],
            "code": code,
            "func_name": signature.name,
            "example_inputs": list(calls.origins),
            "input_origins": origins,
            "model": tools.model if calls.replies else None,
            "tries": calls.replies,
            "reasoning": calls.reasoning,
        }

    async def _ask(self, code: str, calls: "_Calls", tools: Tools) -> None:
        """Add calls from the model's replies until there are enough. Raises `Reject` if there are not."""

        def read(completion: Completion) -> None:
            calls.read(completion, self.n)
            if few := calls.fewer_than(self.min_inputs):
                raise few

        prompt = self.prompt.render(code=code.strip("\n"), n=self.n)
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        form = form_of_calls(calls.signature, calls.expected, self.min_inputs, self.n) if self.schema else None
        await Ask(tools, prompt, form, self.repairs).first_readable([sampling] * self.tries, read)


class _Calls:
    """The usable calls with their origin, and the unusable ones of a model."""

    def __init__(self, signature: Signature, expected: Mapping[str, Evidence], row: Row) -> None:
        self.signature = signature
        self.expected = expected
        self._row = row
        self.origins: dict[str, str] = {}
        self.filtered: list[Rejected] = []
        # The number of replies, and the reasoning before the last one.
        self.replies = 0
        self.reasoning: str | None = None

    def read(self, completion: Completion, most: int) -> None:
        """Add the calls of a reply, up to `most` in all. Raises `Reject` if it cannot be parsed."""
        self.replies += 1
        self.reasoning = completion.reasoning
        if completion.no_answer:
            raise Reject(*completion.no_answer)
        for example in self._examples(completion):
            if len(self.origins) < most:
                self._add(example)

    def _examples(self, completion: Completion) -> list[ast.expr]:
        """The sets of arguments in a reply, which is Python or JSON, as expressions."""
        found = json_in(completion.text)
        if not isinstance(found, dict) or not isinstance(examples := found.get("examples"), list):
            return examples_in(completion.text, is_cut=completion.finish_reason == "length")
        values = [
            {name: as_expected(value, self.expected.get(name, Evidence())) for name, value in example.items()}
            if isinstance(example, dict)
            else example
            for example in examples
        ]
        return [ast.parse(write_value(value), mode="eval").body for value in values]

    def fewer_than(self, least: int) -> Reject | None:
        if len(self.origins) >= least:
            return None
        return Reject("too_few_inputs", f"{len(self.origins)} calls can be used, {least} are needed")

    def _add(self, example: ast.expr) -> None:
        call = ""
        try:
            arguments = read_arguments(example)
            call = write_call(arguments)
            self.signature.check(set(arguments))
            if call in self.origins:
                raise Reject("duplicate_input", "the same call stands before")
        except Reject as reject:
            filtered = {
                "id": f"{self._row['id']}/call-{len(self.filtered)}",
                "func_name": self.signature.name,
                "example_inputs": [call or source_of(example)],
            }
            self.filtered.append(Rejected(filtered, reject.reason, reject.detail))
        else:
            self.origins[call] = "model"
