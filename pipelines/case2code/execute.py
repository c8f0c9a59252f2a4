"""Record the outputs of functions by running them in the sandbox (arXiv 2407.12504, section 3.3)."""

import ast
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec.structs import replace

from synth.pipelines.case2code.layouts import calls_of, function_of
from synth.pipelines.case2code.results import ADDRESS, NAME_ERRORS
from synth.pipelines.case2code.signature import as_called, parse_or_empty, recorded_call
from synth.pipelines.runtime.common_options import MemoryMb, Repeat, Seconds
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.sandbox.program import Program
from synth.sandbox.values import equal, shown
from synth.sandbox.verdict import Limits, Outcome, Verdict
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import CALLS, EXECUTED

__all__ = ["Execute"]

# Errors that depend on limits and on the load of the machine.
_LIMIT_ERRORS = {"MemoryError", "RecursionError"}


@dataclass(frozen=True)
class Execute(RowStage):
    """Run each function with its inputs in the sandbox, and keep informative ones.

    Records the outputs of each function in one run with all its inputs, each a fresh copy.

    As in the paper, a function is rejected if all its calls raise (`all_errors`) or if it does not finish; the reason
    is then the sandbox's verdict: `load_error`, `timeout`, `crashed` and the others. The paper keeps functions that
    teach nothing; here they are `few_distinct_outputs`, `too_many_errors` or `name_error`. Also rejected:
    `too_long_output`, `shows_address`, `unencodable` (a value without a canonical form) and `depends_on_limits`;
    `no_code`, `no_inputs` and `unreadable_input` if there is no function, no call, or a call that cannot be parsed.

    The published code runs a function once. Here those that pass are rerun in another process with other seeds for
    hashes and `random`, another clock if libfaketime is installed, and the inputs in reverse (three times if the
    function makes sets). If an output differs, the function is `nondeterministic`. A run that took more than half of
    its time is `near_deadline`. Errors are recorded by type, because their messages depend on Python's version.
    """

    name: ClassVar[str] = "case2code execute"
    input: ClassVar[Record] = CALLS
    output: ClassVar[Record] = EXECUTED

    uses_sandbox: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth case2code execute inputs/ executed/",
        "synth case2code execute inputs/ executed/ --seconds 2 --jail bwrap",
    )

    seconds: Seconds = 5.0
    memory_mb: MemoryMb = 512
    repeat: Repeat = True
    min_distinct_outputs: Annotated[int, Option("Different outputs that a function must have.", min=1)] = 2
    max_error_fraction: Annotated[float, Option("Share of the calls that may raise.", min=0, max=1)] = 0.5
    reject_name_errors: Annotated[bool, Option("Reject functions that raise NameError.")] = True
    max_output_chars: Annotated[int, Option("Longest output, in characters.", min=1)] = 2000

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        limits = Limits(seconds=self.seconds, memory_mb=self.memory_mb)
        code, entry = function_of(row)
        inputs = calls_of(row)
        calls = as_called(code, entry, [recorded_call(call) for call in inputs])
        if not calls:
            raise Reject("no_inputs", "it comes with no call to try")
        program = Program.of(code, entry, calls, limits)
        outcomes = _outcomes(await tools.sandbox.run(program), limits)
        outputs = [_output(outcome) for outcome in outcomes]
        self._check(outputs)
        for profile in self._profiles(code):
            again = await tools.sandbox.run(replace(program, profile=profile, reverse=True))
            for call, one, other in zip(inputs, outcomes, _outcomes(again, limits), strict=True):
                if one.kind != other.kind or not equal(one.data, other.data):
                    raise Reject("nondeterministic", f"{call} gave {_text(one)}, and run again {_text(other)}")
        yield {
            "id": row["id"],
            "code": code,
            "func_name": entry,
            "example_inputs": inputs,
            "example_outputs": outputs,
            "exec_status": True,
        }

    def _profiles(self, code: str) -> Sequence[int]:
        """The profiles to rerun a function in. One other seed reveals only some dependence on the order of sets."""
        if not self.repeat:
            return ()
        makes_sets = any(
            isinstance(node, ast.Set | ast.SetComp)
            or (isinstance(node, ast.Name) and node.id in ("set", "frozenset", "hash"))
            for node in ast.walk(parse_or_empty(code))
        )
        return (1, 2, 3) if makes_sets else (1,)

    def _check(self, outputs: Sequence[dict[str, str]]) -> None:
        errors = [output["error"] for output in outputs if "error" in output]
        values = [output["return"] for output in outputs if "return" in output]
        calls = plural(len(outputs), "call")
        if self.reject_name_errors and (named := sorted(NAME_ERRORS.intersection(errors))):
            raise Reject("name_error", f"{errors.count(named[0])} of {calls} raise {named[0]}")
        if limited := sorted(_LIMIT_ERRORS.intersection(errors)):
            raise Reject("depends_on_limits", f"{errors.count(limited[0])} of {calls} raise {limited[0]}")
        if not values:
            raise Reject("all_errors", f"all {len(outputs)} calls raise, the first of them {errors[0]}")
        if len(errors) > self.max_error_fraction * len(outputs):
            raise Reject("too_many_errors", f"{len(errors)} of {calls} raise")
        for value in values:
            if len(value) > self.max_output_chars:
                raise Reject("too_long_output", f"an output has {len(value):,} characters")
            if ADDRESS.search(value):
                raise Reject("shows_address", f"an output holds an address in memory: {value:.200}")
        if (distinct := len({*values, *errors})) < self.min_distinct_outputs:
            raise Reject(
                "few_distinct_outputs", f"{distinct} different among {len(outputs)}: {(values or errors)[0]:.200}"
            )


def _outcomes(verdict: Verdict, limits: Limits) -> list[Outcome]:
    """The outcomes of a program that finished well within its time."""
    if verdict.status != "ok":
        raise Reject(verdict.status, verdict.detail)
    if verdict.wall_seconds > limits.seconds / 2:
        raise Reject("near_deadline", f"it took {verdict.wall_seconds:.1f} of {limits.seconds:g} s")
    outcomes = [outcome for outcome in verdict.outcomes if outcome is not None]
    if strange := next((outcome.data for outcome in outcomes if outcome.kind == "unencodable"), None):
        raise Reject("unencodable", f"a call gave what has no canonical form: {strange}")
    return outcomes


def _output(outcome: Outcome) -> dict[str, str]:
    return {"return": shown(outcome.data)} if outcome.kind == "value" else {"error": str(outcome.data)}


def _text(outcome: Outcome) -> str:
    (text,) = _output(outcome).values()
    return f"{text:.200}"
