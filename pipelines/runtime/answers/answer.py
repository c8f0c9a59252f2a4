"""The final answer of a solution (arXiv 2308.01825, section 3.2, and the code published with it).

A GSM8K solution ends with a line `#### 72`. The first such mark counts, and the text after its line is dropped. (The
published code checks the first answer but keeps the text after it.) The published code reads the digits right after the
mark; here the whole line is parsed, so that 3/4 equals neither 3 nor 3/5.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from synth.pipelines.runtime.answers.markup import plain
from synth.pipelines.runtime.answers.values import read_value, read_words

__all__ = [
    "GSM8K_MARKS",
    "AnswerReading",
    "FinalAnswer",
    "Majority",
    "MarkedAnswers",
    "bare_answer",
    "end_of_line",
    "extract_answer",
    "majority",
    "states_mark",
]

GSM8K_MARKS = ("#### ",)

_INTEGER = re.compile("-?[0-9]{1,18}")
_LEADING_NUMBER = re.compile(r"-?[0-9.,]+")
_LONGEST_BARE_ANSWER = 64
_LONGEST_LINE = 2000


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """An answer, from its mark (`start`) to the end of its line (`end`) in the solution.

    Answers are compared by `value`; `text` is the answer as written.
    """

    value: Any
    text: str
    start: int
    end: int


class AnswerReading(NamedTuple):
    """The answer on the line after a mark; `value` is None if there is one that cannot be parsed."""

    value: Any
    text: str


Reader = Callable[[str], AnswerReading | None]


def leading_number(line: str) -> AnswerReading | None:
    """The number at the start of the line, read as in the paper: a finite float.

    All commas are dropped. None if the line does not start with a number.
    """
    match = _LEADING_NUMBER.match(line)
    if match is None:
        return None
    try:
        value = float(match[0].replace(",", ""))
    except ValueError:
        return AnswerReading(None, match[0])
    return AnswerReading(value if math.isfinite(value) else None, match[0])


def extract_answer(
    solution: str, marks: tuple[str, ...] = GSM8K_MARKS, read: Reader = leading_number
) -> FinalAnswer | None:
    """The first answer that `read` finds after one of `marks`; text after a NUL character is ignored.

    Word marks within a line are tried last, since `A:` may be a name in a sentence. None if there is no answer, or if
    the first one cannot be parsed: later marks are not tried.
    """
    solution = solution.partition("\x00")[0]
    spans = [match.span() for match in _pattern(marks).finditer(solution)]
    found = [(start, end, following) for (start, end), (following, _) in pairwise([*spans, (len(solution), 0)])]
    if len(found) > 1:
        found.sort(key=lambda span: solution[span[0]].isalnum() and not _begins_line(solution, span[0]))
    for start, end, next_mark in found:
        reading = read(solution[end:next_mark].partition("\n")[0])
        if reading is not None:
            answer = FinalAnswer(*reading, start, end_of_line(solution, end))
            return None if reading.value is None else answer
    return None


def _begins_line(text: str, position: int) -> bool:
    """Whether only markup precedes the position on its line."""
    return not text[text.rfind("\n", 0, position) + 1 : position].strip(" \t*_#>-")


def end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end == -1 else end


class Majority(NamedTuple):
    """The most frequent answer, as its first sample wrote it, and its number of votes."""

    answer: FinalAnswer
    votes: int


def majority(answers: Iterable[FinalAnswer]) -> Majority | None:
    """The answer with the most frequent value; the first seen wins ties. None if there are no answers.

    Votes are for values: "7" and "7.0" agree. (In the published code they do not.)
    """
    first: dict[Any, FinalAnswer] = {}
    votes: Counter[Any] = Counter()
    for answer in answers:
        first.setdefault(answer.value, answer)
        votes[answer.value] += 1
    if not votes:
        return None
    ((value, count),) = votes.most_common(1)
    return Majority(first[value], count)


class MarkedAnswers:
    """Answers after a mark, by default GSM8K's `#### `, compared for exact equality of their values.

    A value is a number (an integer or a `Fraction`), a `Time`, or else the words of the answer.
    """

    def __init__(self, marks: tuple[str, ...] = GSM8K_MARKS) -> None:
        self._marks = marks
        self._gold_marks = tuple(dict.fromkeys((*marks, *GSM8K_MARKS)))

    def find(self, solution: str) -> FinalAnswer | None:
        return _whole_answer(solution, self._marks)

    def find_value(self, solution: str) -> FinalAnswer | None:
        """The answer if it is a number or a time, since without a gold answer words may be anything."""
        answer = self.find(solution)
        return None if answer is None or isinstance(answer.value, str) else answer

    def gold(self, text: str | None) -> FinalAnswer | None:
        if text is None or states_mark(text, self._gold_marks):
            return _whole_answer(text or "", self._gold_marks)
        return bare_answer(text, lambda line: _read_number(line) or _read_words(line))

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool:
        return bool(answer.value == gold.value)


def states_mark(text: str, marks: tuple[str, ...]) -> bool:
    return _pattern(marks).search(text) is not None


def bare_answer(text: str, read: Reader) -> FinalAnswer | None:
    """`text` as an answer if it is a single line that is a number or a time, or is short."""
    bare = text.strip()
    reading = None if "\n" in bare else read(bare)
    if reading is None or reading.value is None:
        return None
    if isinstance(reading.value, str) and len(bare) > _LONGEST_BARE_ANSWER:
        return None
    return FinalAnswer(*reading, 0, len(text))


def _whole_answer(solution: str, marks: tuple[str, ...]) -> FinalAnswer | None:
    """The first number or time after a mark, so that a heading (`#### Step 1`) is skipped; else the first words."""
    return extract_answer(solution, marks, _read_number) or extract_answer(solution, marks, _read_words)


def _read_number(line: str) -> AnswerReading | None:
    """A number or a time, or the words of a line that only starts with a number."""
    # Fast path: most answers are integers.
    return AnswerReading(int(line), line) if _INTEGER.fullmatch(line) else _read_other(line)


@lru_cache(1 << 14)
def _read_other(line: str) -> AnswerReading | None:
    if len(line) > _LONGEST_LINE:
        return AnswerReading(None, line)
    text = plain(line)
    value = read_value(text)
    if value:
        return AnswerReading(*value)
    return _read_words(line) if leading_number(text) else None


def _read_words(line: str) -> AnswerReading:
    text = plain(line) if len(line) <= _LONGEST_LINE else ""
    return AnswerReading(read_words(text), text)


@lru_cache
def _pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    """The marks, ignoring case; a mark that starts or ends with a letter or digit must start or end a word."""
    pattern = "|".join(
        (r"(?<!\w)" if mark[0].isalnum() else "") + re.escape(mark) + (r"(?!\w)" if mark[-1].isalnum() else "")
        for mark in sorted(marks, key=len, reverse=True)
    )
    # Marks without letters are found faster by a case-sensitive search.
    return re.compile(pattern, re.IGNORECASE if any(mark.lower() != mark.upper() for mark in marks) else 0)
