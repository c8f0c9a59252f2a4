"""What calls give, and what they are recorded to have given, here or by the published code (arXiv 2407.12504)."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.pipelines.case2code.literals import Unreadable, read_value, unquoted
from synth.sandbox.values import encode, equal, shown
from synth.sandbox.verdict import Outcome

__all__ = ["ADDRESS", "OF_NAMES", "Given", "agree", "recorded"]

ADDRESS = re.compile(r"\bat 0x[0-9a-f]{4,}")
# What a name that is nowhere raises.
OF_NAMES = {"NameError", "UnboundLocalError"}

_ERROR_MARK = "<|EXCEPTION|>"
_CLASS = re.compile(r"<class '([^']*)'>:? ?")


@dataclass(frozen=True)
class Given:
    """A value as Python writes it, or the name of an error's type, with its message where that is known."""

    value: str | None = None
    error: str | None = None
    message: str = ""

    @classmethod
    def of(cls, outcome: Outcome | None) -> "Given | None":
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


def recorded(outputs: Sequence[Mapping[str, Any]], *, published: bool) -> list[Given]:
    """The outputs of a row. In the `published` form values are quoted once more, as JSON."""
    values = [output["return"] for output in outputs if output["return"] is not None]
    quoted = published and None not in map(unquoted, values)
    return [_recorded(output["return"], output["error"], quoted=quoted) for output in outputs]


def _recorded(value: str | None, error: str | None, *, quoted: bool) -> Given:
    if error is not None:
        return _error(error)
    return Given(unquoted(value) if quoted else value)


def _error(text: str) -> Given:
    """Parse `IndexError`, `IndexError: ...`, or the published form: quoted after a mark that follows printed text.

    The printed text and the message may also contain the mark.
    """
    error = next(filter(None, map(unquoted, _after_marks(text))), text)
    named = _CLASS.match(error)
    kind, message = (named[1], error[named.end() :]) if named else error.partition(":")[::2]
    return Given(error=kind.strip().rpartition(".")[2], message=message.strip())


def _after_marks(text: str) -> Iterator[str]:
    while _ERROR_MARK in text:
        text = text.partition(_ERROR_MARK)[2]
        yield text.strip()


def agree(given: Given | None, record: Given) -> bool:
    """Whether a call gave what is recorded: an equal value, or an error of the same type.

    Values are equal if Python writes them alike, or if both are literals of one value, whose sets and dicts may have
    come in another order.
    """
    if given is None or record.error is not None or given.error is not None:
        return given is not None and given.error == record.error
    if given.value is None or record.value is None:
        return False
    return given.value == record.value or _are_one_literal(given.value, record.value)


def _are_one_literal(text: str, other: str) -> bool:
    try:
        one, two = (encode(read_value(_expression(each))) for each in (text, other))
    except (SyntaxError, ValueError, RecursionError, MemoryError, Unreadable):
        return False
    return equal(one, two)


def _expression(text: str) -> ast.expr:
    """What Python writes of a value, in which `inf` and `nan` are floats."""
    tree: ast.Expression = _Floats().visit(ast.parse(text, mode="eval"))
    return tree.body


class _Floats(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node
