"""Multiple choice: an answer is the label of an option, however it was named, by its label, its text or both."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from synth.pipelines.runtime.answers.answer import (
    AnswerReading,
    FinalAnswer,
    bare_answer,
    extract_answer,
    states_mark,
)
from synth.pipelines.runtime.answers.markup import plain
from synth.pipelines.runtime.text.words import words
from synth.schemas.phrases import plural

__all__ = ["ChoiceAnswers", "Choices", "bare_words"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ARTICLES = {"a", "an", "the"}
_NAMED = re.compile(r"(?:option|choice|answer)\s+", re.IGNORECASE)
# What ends the first clause of a line: an answer may be followed by its reason.
_CLAUSE = re.compile(r"[.,;:](?=\s)|\s+(?:because|since|as)\s", re.IGNORECASE)


def bare_words(text: str) -> tuple[str, ...]:
    """The words of a text without articles, case-folded, by which two wordings of one answer are recognised."""
    return tuple(word for portion in words(text) for word in portion if word not in _ARTICLES)


@dataclass(frozen=True)
class Choices:
    """The options of a question: a text for each label."""

    texts: dict[str, str]

    @classmethod
    def read(cls, cell: str) -> "Choices":
        """Read options as data sets publish them, from JSON.

        These are `{"label": ["A", ...], "text": [...]}` (CommonsenseQA, OpenBookQA, ARC), a list of objects with these
        two, `{"A": "...", ...}`, or a list of texts, which get the letters as labels. Raises `ValueError` for anything
        else, for fewer than two options, and for two with the same label or text.
        """
        pairs = list(_pairs(_from_json(cell)))
        texts = dict(pairs)
        if len(pairs) < 2:
            raise ValueError("there are fewer than two options")
        if not all(isinstance(part, str) and part.strip() for pair in pairs for part in pair):
            raise ValueError("an option has no text or no label")
        if len(texts) < len(pairs) or len({bare_words(text) or text for text in texts.values()}) < len(pairs):
            raise ValueError("two options are the same")
        return cls({label.strip(): text.strip() for label, text in texts.items()})

    def __str__(self) -> str:
        """A line for each, as a question shows them."""
        return "\n".join(f"({label}) {text}" for label, text in self.texts.items())


class ChoiceAnswers:
    """Answers after one of the marks, or a text that is nothing but an answer, compared by the label of their option.

    `B`, `(b)`, `B.`, `option B`, `B) paper` and `paper` are the same answer. One with the label of an option and the
    text of another is none.
    """

    def __init__(self, options: Choices, marks: tuple[str, ...]) -> None:
        self._marks = marks
        self._texts = options.texts
        self._by_words = {bare_words(text) or (text,): label for label, text in options.texts.items()}
        labels = "|".join(map(re.escape, sorted(options.texts, key=len, reverse=True)))
        self._label = re.compile(rf"\(\s*({labels})\s*\)|({labels})(?=\s*(?:[).:,;]|$|[-–—]\s))", re.IGNORECASE)
        self._capitals = {label.upper(): label for label in options.texts}

    def find(self, solution: str) -> FinalAnswer | None:
        if states_mark(solution, self._marks):
            return extract_answer(solution, self._marks, self._read)
        return bare_answer(solution, self._read)

    def gold(self, text: str | None) -> FinalAnswer | None:
        return self.find(text) if text else None

    def same(self, answer: FinalAnswer, gold: FinalAnswer) -> bool:
        return bool(answer.value == gold.value)

    def _read(self, line: str) -> AnswerReading | None:
        text = _NAMED.sub("", plain(line), count=1) if _NAMED.match(plain(line)) else plain(line)
        label = self._label.match(text)
        if label is None:
            return self._by_text(text)
        found = self._capitals[(label[1] or label[2]).upper()]
        # After the label may be the text of its option, or of another one, or anything else.
        rest = self._by_text(text[label.end() :].lstrip(" ).:,;-–—"))
        if rest is not None and rest.value != found:
            return AnswerReading(None, text)
        return AnswerReading(found, found)

    def _by_text(self, text: str) -> AnswerReading | None:
        for part in (text, _CLAUSE.split(text, maxsplit=1)[0]):
            label = self._by_words.get(bare_words(part) or (part.strip(),))
            if label is not None:
                return AnswerReading(label, label)
        return None


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("they are not JSON") from None


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    match value:
        case str(text) if text.lstrip().startswith(("{", "[")):
            # A cell of CSV is JSON text once more.
            yield from _pairs(_from_json(text))
        case {"label": list(labels), "text": list(texts)} if len(labels) == len(texts):
            yield from zip(labels, texts, strict=True)
        case {"label": list(labels), "text": list(texts)}:
            raise ValueError(f"there are {plural(len(labels), 'label')} for {plural(len(texts), 'text')}")
        case dict(options):
            yield from options.items()
        case list(options) if all(isinstance(option, str) for option in options):
            yield from zip(LETTERS, options, strict=False)
        case list(options) if all(isinstance(option, dict) for option in options):
            yield from ((option.get("label"), option.get("text")) for option in options)
        case _:
            raise ValueError("they are neither texts nor labels with texts")
