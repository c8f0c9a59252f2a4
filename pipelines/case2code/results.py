"""The results of calls, observed here or recorded in a row, which may be a published one (arXiv 2407.12504)."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.pipelines.case2code.literals import Unreadable, read_value, unquoted
from synth.sandbox.values import encode, equal, shown
from synth.sandbox.verdict import Outcome

__all__ = ["ADDRESS", "NAME_ERRORS", "CallResult", "agree", "likely_cause", "recorded_results"]

ADDRESS = re.compile(r"\bat 0x[0-9a-f]{4,}")
NAME_ERRORS = {"NameError", "UnboundLocalError"}

# Variables of the published harness; a function with such a name is overwritten there.
_HARNESS = frozenset({"r", "e", "ex", "examples", "json"})
_ERROR_MARK = "<|EXCEPTION|>"
_CLASS = re.compile(r"<class '([^']*)'>:? ?")


@dataclass(frozen=True)
class CallResult:
    """The `repr` of a value, or the type name of an error and its message, if known."""

    value: str | None = None
    error: str | None = None
    message: str = ""

    @classmethod
    def of(cls, outcome: Outcome | None) -> "CallResult | None":
        if outcome is None:
            return None
        if outcome.kind == "value":
            return cls(shown(outcome.data))
        if outcome.kind == "exception":
            return cls(error=outcome.data)
        return cls(message=f"what has no canonical form: {outcome.data}")

    def __str__(self) -> str:
        if self.value is not None:
            return self.value
        return ": ".join(filter(None, (self.error, self.message))) or "what is not recorded"


def recorded_results(outputs: Sequence[Mapping[str, Any]], *, published: bool) -> list[CallResult]:
    """The outputs of a row. In the `published` form, values are additionally quoted as JSON."""
    values = [output["return"] for output in outputs if output["return"] is not None]
    quoted = published and None not in map(unquoted, values)
    return [
        CallResult(unquoted(output["return"]) if quoted else output["return"])
        if output["error"] is None
        else _parse_error(output["error"])
        for output in outputs
    ]


def _parse_error(text: str) -> CallResult:
    """Parse `IndexError`, `IndexError: ...`, or the published form: quoted, after printed text and a mark.

    The printed text and the message may also contain the mark.
    """
    error = next(filter(None, map(unquoted, _after_marks(text))), text)
    named = _CLASS.match(error)
    kind, message = (named[1], error[named.end() :]) if named else error.partition(":")[::2]
    return CallResult(error=kind.strip().rpartition(".")[2], message=message.strip())


def _after_marks(text: str) -> Iterator[str]:
    while _ERROR_MARK in text:
        text = text.partition(_ERROR_MARK)[2]
        yield text.strip()


def agree(result: CallResult | None, recorded: CallResult) -> bool:
    """Whether a result equals the recorded one: an equal value, or an error of the same type.

    Values are equal if their `repr` is, or if both are literals of equal values, ignoring the order of sets and dicts.
    """
    if result is None or recorded.error is not None or result.error is not None:
        return result is not None and result.error == recorded.error
    if result.value is None or recorded.value is None:
        return False
    return result.value == recorded.value or _are_equal_literals(result.value, recorded.value)


def _are_equal_literals(text: str, other: str) -> bool:
    try:
        one, two = (encode(read_value(_InfAndNan().visit(ast.parse(each, mode="eval")).body)) for each in (text, other))
    except (SyntaxError, ValueError, RecursionError, MemoryError, Unreadable):
        return False
    return equal(one, two)


class _InfAndNan(ast.NodeTransformer):
    """Turns `inf` and `nan`, as `repr` writes these floats, into constants."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def likely_cause(func_name: str, result: CallResult, rerun: CallResult | None, recorded: CallResult) -> str:
    """Why the recorded function itself does not reproduce a recorded result, judging by its results in two runs."""
    if result.value is None and result.error is None:
        return "the value is too long, or of a kind that cannot be compared"
    if any(value and ADDRESS.search(value) for value in (result.value, recorded.value)):
        return "the value shows an address in memory, which changes from run to run"
    if not agree(rerun, result):
        return "it changes from run to run, as the order of a set, a hash or a random number does"
    if func_name in _HARNESS and recorded.error is not None:
        return f"the published harness has a variable {func_name} of its own, and overwrote the function"
    if recorded.error in NAME_ERRORS:
        return f"a name was missing when it was recorded ({recorded.message})"
    if result.error in NAME_ERRORS:
        return f"a name is missing here that was there when it was recorded ({result.message})"
    if result.error is not None and recorded.error is not None:
        return "the type of an error differs between versions of Python"
    return "it was recorded with another version of Python, or after other calls"
