"""The calls of a row: with plain values as arguments, or with inputs that are Python source and only run in a jail."""

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from synth.pipelines.case2code.replies import examples_among
from synth.pipelines.case2code.results import CallResult
from synth.pipelines.case2code.signature import as_called
from synth.pipelines.runtime.stage import Reject
from synth.sandbox.program import Input, Program
from synth.sandbox.verdict import Limits, Outcome, Verdict

__all__ = ["INPUT_FAULTS", "CallResults", "Calls", "PlainCalls", "WrittenCalls", "parsed_examples"]

# Statuses of runs that fail because of their inputs, independent of the function.
INPUT_FAULTS = {"unreadable_input", "count_mismatch"}

# Includes the function and the source of its inputs.
MAX_PROGRAM_BYTES = 1 << 20


@dataclass(frozen=True)
class CallResults:
    """The sandbox's status of a run, or one of `INPUT_FAULTS`, and the result of each call."""

    status: str
    detail: str
    results: Sequence[CallResult | None]


@dataclass(frozen=True)
class PlainCalls:
    """Calls whose arguments are plain values. `texts` are the calls for a reader."""

    texts: Sequence[str]
    arguments: Sequence[Mapping[str, Any]]

    def program(self, code: str, entry: str, limits: Limits) -> Program:
        """A program that makes the calls of the function `entry` of `code`."""
        return Program.of(code, entry, as_called(code, entry, self.arguments), limits)

    def results(self, verdict: Verdict) -> CallResults:
        """The results in the sandbox's verdict on that program."""
        return CallResults(verdict.status, verdict.detail, list(map(CallResult.of, verdict.outcomes)))


@dataclass(frozen=True)
class WrittenCalls:
    """Calls whose arguments are added to a list `examples` by blocks of source; used like `PlainCalls`."""

    texts: Sequence[str]
    blocks: Sequence[str]

    @classmethod
    def read(cls, source: str, count: int) -> "WrittenCalls":
        """The `count` calls that `source` builds. Raises `Reject` as `unreadable_input`."""
        tree = parsed_examples(source)
        blocks = [ast.unparse(ast.Module(block, [])) for block in _blocks(tree)]
        texts = [ast.unparse(item) for item in examples_among(tree) or ()]
        return cls(texts if len(texts) == count else [f"call {number}" for number in range(1, count + 1)], blocks)

    def program(self, code: str, entry: str, limits: Limits) -> Program:
        driver = f"{_driver()}\n\ncall = Driver({code!r}, {entry!r}, {list(self.blocks)!r}).call\n"
        inputs: list[Input] = [([index], {}) for index in (*range(len(self.texts)), None)]
        return Program.of(driver, "call", inputs, replace(limits, source_bytes=MAX_PROGRAM_BYTES))

    def results(self, verdict: Verdict) -> CallResults:
        for outcome in verdict.outcomes:
            match outcome:
                case Outcome(data=["unreadable", str(why)]):
                    hint = " (--jail-package NAME brings a package)" * why.startswith("ModuleNotFoundError")
                    return self._no_results("unreadable_input", f"the inputs cannot be built: {why}{hint}")
                case Outcome(data=["count", str(count)]) if count != str(len(self.texts)):
                    return self._no_results("count_mismatch", f"{count} inputs and {len(self.texts)} outputs")
        return CallResults(verdict.status, verdict.detail, [_result(outcome) for outcome in verdict.outcomes[:-1]])

    def _no_results(self, fault: str, detail: str) -> CallResults:
        return CallResults(fault, detail, [None] * len(self.texts))


Calls = PlainCalls | WrittenCalls


def parsed_examples(source: str) -> ast.Module:
    """Parse source that builds a list `examples`. Raises `Reject` as `unreadable_input`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        # Fails now on trees that are too deep for later steps.
        ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Reject("unreadable_input", f"example_str cannot be parsed: {error}") from None
    if not _names_examples(tree):
        raise Reject("unreadable_input", "example_str has no list called examples")
    return tree


def _blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """Split after each statement that uses `examples`. A new list replaces all earlier ones."""
    blocks: list[list[ast.stmt]] = []
    block: list[ast.stmt] = []
    for statement in tree.body:
        block.append(statement)
        if not _names_examples(statement):
            continue
        match statement:
            case ast.Assign(targets=[ast.Name("examples")], value=value) if not _names_examples(value):
                block = [*chain.from_iterable(blocks), *block]
                blocks = []
        blocks.append(block)
        block = []
    if blocks:
        blocks[-1] += block
    return blocks


def _names_examples(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "examples" for one in ast.walk(node))


@cache
def _driver() -> str:
    return Path(__file__).with_name("driver.py").read_text("utf-8")


def _result(outcome: Outcome | None) -> CallResult | None:
    match outcome:
        case Outcome(data=["return", str(value)]):
            return CallResult(value)
        case Outcome(data=["error", str(kind), str(message)]):
            return CallResult(error=kind, message=message)
        case Outcome(kind="value"):
            return CallResult(message="an answer that is none of the driver's")
    return CallResult.of(outcome)
