"""MATH's convention: answers are in `\\boxed{}`, and `math-verify` compares them mathematically."""

import re
import threading
from fractions import Fraction
from functools import lru_cache
from typing import Any

from synth.pipelines.runtime.answers.answer import (
    GSM8K_MARKS,
    AnswerReading,
    FinalAnswer,
    bare_answer,
    end_of_line,
    extract_answer,
    states_mark,
)
from synth.pipelines.runtime.answers.markup import plain
from synth.pipelines.runtime.answers.values import Time, read_value
from synth.schemas.errors import UsageError

__all__ = ["BoxedAnswers"]

_BOXES_AND_BRACES = re.compile(r"\\boxed\s*\{|[{}]")
_TEXT_AFTER_NUMBER = re.compile(r"\d\s*\\(?:text|mathrm|mbox)")
_LONGEST_BOX = 512
_MATH_VERIFY_SECONDS = 5


class BoxedAnswers:
    """The last `\\boxed{}` contains the answer. Numbers and times are compared for exact equality.

    Percentages and everything else are compared by `math-verify`.
    """

    def __init__(self) -> None:
        try:
            from math_verify import parse, verify
        except ImportError:
            raise UsageError("--boxed needs math-verify: pip install '.[math]'") from None
        self._parse = parse
        self._verify = verify
        # A hundred samples of a question have few distinct answers, and a comparison takes milliseconds.
        self._parsed = lru_cache(1 << 12)(self._parse_box)
        self._equal = lru_cache(1 << 12)(self._are_equal)

    def find(self, solution: str) -> FinalAnswer | None:
        solution = solution.partition("\x00")[0]
        box = _last_box(solution)
        if box is None:
            return None
        start, content, end = box
        reading = self._read(content)
        return FinalAnswer(*reading, start, end_of_line(solution, end)) if reading else None

    def gold(self, text: str | None) -> FinalAnswer | None:
        """A solution with a box, a GSM8K solution, or a bare answer."""
        if not text or "\\boxed" in text:
            return self.find(text or "")
        if states_mark(text, GSM8K_MARKS):
            return extract_answer(text, read=self._read)
        return bare_answer(text, self._read)

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool:
        return self._equal(gold.text, answer.text)

    def _read(self, content: str) -> AnswerReading | None:
        """The answer, with the value of a number or a time, else as `math-verify` parses it; None if it cannot."""
        content = content.strip().strip("$")
        if len(content) > _LONGEST_BOX:
            return None
        value = _exact(content)
        if value is None:
            value = self._parsed(content) or None
        return None if value is None else AnswerReading(value, content)

    def _are_equal(self, gold: str, answer: str) -> bool:
        exact = _exact(gold), _exact(answer)
        # `50\%` means 50 in some gold answers and 0.5 in others.
        if None not in exact and "%" not in gold + answer:
            return exact[0] == exact[1]
        return bool(self._verify(self._parsed(gold), self._parsed(answer), timeout_seconds=_time_limit()))

    def _parse_box(self, content: str) -> Any:
        # math-verify would parse `2 \text{ hours } 30 \text{ minutes}` as 2.
        if _TEXT_AFTER_NUMBER.search(content) and _exact(content) is None:
            content = plain(content)
        return self._parse(f"$\\boxed{{{content}}}$", parsing_timeout=_time_limit())


def _exact(content: str) -> Fraction | Time | None:
    value = read_value(plain(content))
    return value[0] if value else None


def _time_limit() -> int | None:
    # math-verify uses SIGALRM, which only the main thread may set.
    return _MATH_VERIFY_SECONDS if threading.current_thread() is threading.main_thread() else None


def _last_box(text: str) -> tuple[int, str, int] | None:
    """Start, content and end of the last closed `\\boxed{...}`."""
    opened: list[re.Match[str]] = []
    last: tuple[int, str, int] | None = None
    for brace in _BOXES_AND_BRACES.finditer(text):
        if brace[0] != "}":
            opened.append(brace)
        elif opened:
            start = opened.pop()
            if start[0] != "{" and (last is None or start.start() > last[0]):
                last = start.start(), text[start.end() : brace.start()].strip(), brace.end()
    return last
