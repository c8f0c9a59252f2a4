"""How answers are found: after marks, or in boxes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from synth.pipelines.runtime.answers.answer import GSM8K_MARKS, FinalAnswer, MarkedAnswers
from synth.schemas.errors import UsageError

__all__ = ["ADVICE", "AnswerRule", "answer_rule", "check_marks"]

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "no_gold": "--answer-mark TEXT adds a text that precedes gold answers (besides `#### `), --boxed reads them "
        "in \\boxed{}, and --column answer=NAME reads another column",
        "no_answer": "--answer-mark TEXT sets the text before answers (default `#### `), --boxed reads them "
        "in \\boxed{}, and `reject sample --prompt chat` asks models that were not tuned on `#### ` for it",
    }
)


class AnswerRule(Protocol):
    """Finds the answers of solutions and compares them."""

    def find(self, solution: str) -> FinalAnswer | None:
        """The answer of a sampled solution, or None."""

    def gold(self, text: str | None) -> FinalAnswer | None:
        """The answer of a gold solution or a bare gold answer; None if neither can be compared."""

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool: ...


def answer_rule(boxed: bool, marks: tuple[str, ...] = GSM8K_MARKS) -> AnswerRule:
    """Raises `UsageError` if `boxed` and `math-verify` is not installed."""
    if not boxed:
        return MarkedAnswers(marks)
    from synth.pipelines.runtime.answers.boxes import BoxedAnswers

    return BoxedAnswers()


def check_marks(marks: tuple[str, ...], *, boxed: bool = False) -> None:
    """Raises `UsageError` for blank marks, and for marks combined with `boxed`."""
    if not marks or not all(mark.strip() for mark in marks):
        raise UsageError("--answer-mark is empty; set it to the text that precedes answers, such as 'A:'")
    if boxed and marks != GSM8K_MARKS:
        raise UsageError("--answer-mark and --boxed exclude each other: answers are read after a mark or in a box")
