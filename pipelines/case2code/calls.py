"""The calls of a row, and what a function gives to them: as plain values, or as Python source that only a jail runs."""

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from msgspec.structs import replace

from synth.pipelines.case2code.given import Given
from synth.pipelines.case2code.replies import examples_among
from synth.pipelines.case2code.signature import as_called
from synth.pipelines.runtime.stage import Reject
from synth.sandbox.program import Input, Program
from synth.sandbox.verdict import Limits, Outcome, Verdict

__all__ = ["UNMADE", "Calls", "PlainCalls", "Ran", "WrittenCalls", "parsed_examples"]

# What a run comes to whose calls cannot be made, whatever the function.
UNMADE = {"unreadable_input", "count_mismatch"}

# Of the text that a jail is sent, with the function and the source of its inputs in it.
LONGEST_PROGRAM = 1 << 20


@dataclass(frozen=True)
class Ran:
    """What a run came to: the sandbox's status, `unreadable_input` or `count_mismatch`, and what each call gave."""

    status: str
    detail: str
    given: Sequence[Given | None]


class Calls(Protocol):
    """`texts` are the calls for a reader."""

    @property
    def texts(self) -> Sequence[str]: ...

    def program(self, code: str, entry: str, limits: Limits) -> Program:
        """What makes the calls of the function `entry` of `code`."""
        ...

    def ran(self, verdict: Verdict) -> Ran:
        """What the sandbox's verdict on that program says of the calls."""
        ...


@dataclass(frozen=True)
class PlainCalls:
    """Calls whose arguments are plain values."""

    texts: Sequence[str]
    arguments: Sequence[Mapping[str, Any]]

    def program(self, code: str, entry: str, limits: Limits) -> Program:
        return Program.of(code, entry, as_called(code, entry, self.arguments), limits)

    def ran(self, verdict: Verdict) -> Ran:
        return Ran(verdict.status, verdict.detail, list(map(Given.of, verdict.outcomes)))


@dataclass(frozen=True)
class WrittenCalls:
    """As many calls as are recorded, whose arguments are what blocks of source add to a list `examples`."""

    texts: Sequence[str]
    blocks: Sequence[str]

    @classmethod
    def read(cls, source: str, count: int) -> "WrittenCalls":
        """`count` calls that `source` adds up to. Raises `Reject` as `unreadable_input`."""
        tree = parsed_examples(source)
        blocks = [ast.unparse(ast.Module(block, [])) for block in _blocks(tree)]
        texts = [ast.unparse(item) for item in examples_among(tree) or ()]
        return cls(texts if len(texts) == count else [f"call {number}" for number in range(1, count + 1)], blocks)

    def program(self, code: str, entry: str, limits: Limits) -> Program:
        driver = f"{_driver()}\n\ncall = Driver({code!r}, {entry!r}, {list(self.blocks)!r}).call\n"
        inputs: list[Input] = [([index], {}) for index in (*range(len(self.texts)), None)]
        return Program.of(driver, "call", inputs, replace(limits, source_bytes=LONGEST_PROGRAM))

    def ran(self, verdict: Verdict) -> Ran:
        for outcome in verdict.outcomes:
            match outcome:
                case Outcome(data=["unreadable", str(why)]):
                    hint = " (--jail-package NAME brings a package)" * why.startswith("ModuleNotFoundError")
                    return self._unmade("unreadable_input", f"the inputs cannot be built: {why}{hint}")
                case Outcome(data=["count", str(count)]) if count != str(len(self.texts)):
                    return self._unmade("count_mismatch", f"{count} inputs and {len(self.texts)} outputs")
        return Ran(verdict.status, verdict.detail, [_given(outcome) for outcome in verdict.outcomes[:-1]])

    def _unmade(self, why: str, detail: str) -> Ran:
        return Ran(why, detail, [None] * len(self.texts))


def parsed_examples(source: str) -> ast.Module:
    """Source that makes a list `examples`, unread. Raises `Reject` as `unreadable_input`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        # Whatever else walks the tree has as deep a way to go.
        ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Reject("unreadable_input", f"example_str cannot be parsed: {error}") from None
    if not _names_examples(tree):
        raise Reject("unreadable_input", "example_str has no list called examples")
    return tree


def _blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """The statements up to each that adds to `examples`; a list that is made from nothing replaces what was before."""
    blocks: list[list[ast.stmt]] = []
    block: list[ast.stmt] = []
    for statement in tree.body:
        block.append(statement)
        if not _names_examples(statement):
            continue
        match statement:
            case ast.Assign(targets=[ast.Name("examples")], value=value) if not _names_examples(value):
                block = [*(one for before in blocks for one in before), *block]
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
    return (files("synth.pipelines.case2code") / "driver.py").read_text("utf-8")


def _given(outcome: Outcome | None) -> Given | None:
    match outcome:
        case Outcome(data=["return", str(value)]):
            return Given(value)
        case Outcome(data=["error", str(kind), str(message)]):
            return Given(error=kind, message=message)
        case Outcome(kind="value"):
            return Given(message="an answer that is none of the driver's")
    return Given.of(outcome)
