"""What is said when an answer is checked, without giving away the right one."""

import re
from fractions import Fraction
from typing import NamedTuple

from synth.pipelines.runtime.answers.choices import Choices, bare_words
from synth.pipelines.runtime.answers.exact import exact_number
from synth.pipelines.runtime.prompts import Prompt
from synth.schemas.errors import UsageError

__all__ = ["Secret", "Wordings", "wordings_in"]

_HEADING = re.compile(r"^# (right|wrong)[ \t]*$", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*(?:/\d+)?")
# A letter that is a word by itself names an option only in such a place.
_WORDS_THEMSELVES = ("A", "I")


class Wordings(NamedTuple):
    """The verifications of right and of wrong answers."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]


def wordings_in(prompt: Prompt) -> Wordings:
    """The wordings of a file: a line each, below a line `# right` or `# wrong`. Raises `UsageError` if one has none."""
    _, *parts = _HEADING.split(prompt.text)
    found: dict[str, list[str]] = {"right": [], "wrong": []}
    for kind, text in zip(parts[::2], parts[1::2], strict=True):
        found[kind] += [line.strip() for line in text.splitlines() if line.strip()]
    if missing := [kind for kind, lines in found.items() if not lines]:
        raise UsageError(
            f"--wordings {prompt.origin} has no wordings for {' and '.join(missing)} answers: write each on a line "
            f"below the line # {missing[0]}"
        )
    return Wordings(tuple(found["right"]), tuple(found["wrong"]))


class Secret:
    """A gold answer that the verification of a wrong one must not contain: its number, its words, or its option."""

    def __init__(self, text: str, value: object, options: Choices | None) -> None:
        self._number = Fraction(value) if isinstance(value, int | Fraction) else None
        self._words = () if self._number is not None else bare_words(options.texts[text] if options else text)
        self._label = _naming(text) if options else None

    def is_in(self, text: str) -> bool:
        if self._number is not None and any(self._equals(number[0]) for number in _NUMBER.finditer(text)):
            return True
        if self._label and self._label.search(text):
            return True
        said, words = bare_words(text), self._words
        return bool(words) and any(said[at : at + len(words)] == words for at in range(len(said) - len(words) + 1))

    def _equals(self, written: str) -> bool:
        read = exact_number(written)
        return read is not None and read[0] == self._number


def _naming(label: str) -> re.Pattern[str]:
    """Where a text names the option with this label."""
    written = re.escape(label)
    named = rf"\(\s*{written}\s*\)|(?<!\w){written}\)|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer(?: is)?)\s+{written}(?!\w)"
    return re.compile(named if label in _WORDS_THEMSELVES else rf"{named}|(?<!\w){written}(?!\w)")
