"""The final answer of a solution (arXiv 2308.01825, section 3.2, and the code published with it).

A GSM8K solution closes with a line `#### 72`. The first such mark counts and the text after its line is no part of the
path. (The published code checks the first answer but keeps the text after it.) MATH solutions hold their answer in
`\\boxed{}`, which is compared as mathematics by `math-verify`.
"""

import math
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from schemas.errors import UsageError

__all__ = ["AnswerRule", "Boxed", "FinalAnswer", "Hashes", "Majority", "answer_rule", "extract_answer", "majority"]

_HASHES = re.compile(r"#### (-?[0-9.,]+)")
_BOX = re.compile(r"\\boxed\s*\{")
_LONGEST_BOX = 512
_LONGEST_BARE_LATEX = 64
_MATH_VERIFY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """An answer and where it stands: `text[start:end]` runs from its mark to the end of its line.

    `value` is a finite float, or what `math-verify` made of a box; `text` is the answer as it was written.
    """

    value: Any
    text: str
    start: int
    end: int


class AnswerRule(Protocol):
    """How solutions state their answers, and when two answers are the same."""

    def find(self, solution: str) -> FinalAnswer | None:
        """The answer of a sampled solution, or None."""

    def gold(self, text: str | None) -> FinalAnswer | None:
        """The answer of a gold solution or a bare gold answer; None where there is none that can be compared."""

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool: ...


def answer_rule(boxed: bool) -> AnswerRule:
    """Raises `UsageError` where boxes are asked for and `math-verify` is not installed."""
    return Boxed() if boxed else Hashes()


def extract_answer(solution: str) -> FinalAnswer | None:
    """The number after the first `#### `; the text is cut at a NUL character before.

    Commas are dropped, wherever they stand. None where the first mark holds no finite number: a second mark is not
    looked at.
    """
    solution = solution.partition("\x00")[0]
    match = _HASHES.search(solution)
    value = _number(match[1]) if match else None
    if match is None or value is None:
        return None
    return FinalAnswer(value, match[1], match.start(), _end_of_line(solution, match.end()))


class Majority(NamedTuple):
    """The answer that most samples give, as the first of them wrote it, and how many do."""

    answer: FinalAnswer
    votes: int


def majority(answers: Iterable[FinalAnswer]) -> Majority | None:
    """The most frequent value; the first seen wins a tie. None where there are no answers.

    Numbers vote, not strings: "7" and "7.0" are one vote. (In the published code they are two.)
    """
    first: dict[float, FinalAnswer] = {}
    votes: Counter[float] = Counter()
    for answer in answers:
        first.setdefault(answer.value, answer)
        votes[answer.value] += 1
    if not votes:
        return None
    ((value, count),) = votes.most_common(1)
    return Majority(first[value], count)


class Hashes:
    """GSM8K's convention. Answers are the same only if they are equal floats, as collection demands in the paper."""

    def find(self, solution: str) -> FinalAnswer | None:
        return extract_answer(solution)

    def gold(self, text: str | None) -> FinalAnswer | None:
        """A bare gold answer may carry a dollar sign and commas; infinity and NaN are no answers."""
        if text is None or "####" in text:
            return extract_answer(text or "")
        value = _number(text.strip().replace("$", ""))
        return None if value is None else FinalAnswer(value, text.strip(), 0, len(text))

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool:
        return bool(answer.value == gold.value)


class Boxed:
    """MATH's convention: the last `\\boxed{}` holds the answer; `math-verify` says whether two are equivalent."""

    def __init__(self) -> None:
        try:
            from math_verify import parse, verify
        except ImportError:
            raise UsageError("--boxed needs math-verify, which is not installed: pip install 'synth[math]'") from None
        self._parse = parse
        self._verify = verify
        # A hundred samples of a question give few different answers, and comparing two takes milliseconds.
        self._value = lru_cache(1 << 12)(self._value_of)
        self._equal = lru_cache(1 << 12)(self._are_equal)

    def find(self, solution: str) -> FinalAnswer | None:
        solution = solution.partition("\x00")[0]
        box = _last_box(solution)
        if box is None:
            return None
        start, content, end = box
        value = self._value(content)
        return FinalAnswer(value, content, start, _end_of_line(solution, end)) if value else None

    def gold(self, text: str | None) -> FinalAnswer | None:
        """A solution with a box, a GSM8K solution (its models often answer in a box), or one line of bare LaTeX."""
        if not text or "\\boxed" in text:
            return self.find(text or "")
        if "####" in text:
            number = extract_answer(text)
            if number is None:
                return None
            return FinalAnswer(self._value(number.text), number.text, number.start, number.end)
        bare = text.strip()
        value = self._value(bare) if len(bare) <= _LONGEST_BARE_LATEX and "\n" not in bare else None
        return FinalAnswer(value, bare, 0, len(text)) if value else None

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool:
        return self._equal(gold.text, answer.text)

    def _are_equal(self, gold: str, answer: str) -> bool:
        return bool(self._verify(self._value(gold), self._value(answer), timeout_seconds=_time_limit()))

    def _value_of(self, content: str) -> Any:
        if len(content) > _LONGEST_BOX:
            return None
        return self._parse(f"$\\boxed{{{content}}}$", parsing_timeout=_time_limit())


def _time_limit() -> int | None:
    # math-verify keeps time with SIGALRM, which only the main thread may set.
    return _MATH_VERIFY_SECONDS if threading.current_thread() is threading.main_thread() else None


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end == -1 else end


def _last_box(text: str) -> tuple[int, str, int] | None:
    """Start, content and end of the last closed `\\boxed{...}`."""
    for match in reversed(list(_BOX.finditer(text))):
        depth = 1
        for position in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return match.start(), text[match.end() : position].strip(), position + 1
    return None
