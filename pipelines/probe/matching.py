"""Whether a reply contains one of the accepted answers to a question."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from synth.pipelines.runtime.answers.rules import AnswerRule
from synth.pipelines.runtime.text.words import words

__all__ = ["IsRight", "Match", "accepted_answers", "looking_for"]

Match = Literal["word", "substring", "final"]
IsRight = Callable[[str], bool]


def accepted_answers(given: str) -> list[str]:
    """The distinct answers in a JSON text: a text, a number, a list of them, or an object such as TriviaQA's.

    An object has them in `value` and in the list `aliases`. Text that is JSON itself, as in a CSV file, is read, too.
    """
    return list(dict.fromkeys(_answers(json.loads(given))))


def looking_for(answers: Sequence[str], match: Match, rule: AnswerRule) -> IsRight | None:
    """The test whether a reply is right; None if there is nothing to look for.

    `word`: the words of an answer follow one another in the reply, whatever their case and the signs between them.
    `substring`: an answer occurs in the reply in lower case, even within a word. `final`: the final answer of the
    reply, as `rule` reads it, has the value of an answer.
    """
    if match == "final":
        golds = [gold for answer in answers if (gold := rule.gold(answer))]

        def ends_in_one(reply: str) -> bool:
            found = rule.find(reply)
            return found is not None and any(rule.same(found, gold) for gold in golds)

        return ends_in_one if golds else None
    form = _words if match == "word" else str.lower
    wanted = [text for answer in answers if (text := form(answer)).strip()]
    return (lambda reply: any(text in form(reply) for text in wanted)) if wanted else None


def _answers(value: Any) -> list[str]:
    match value:
        case str(text) if text.startswith(("[", "{", '"')):
            try:
                return _answers(json.loads(text))
            except ValueError:
                return [text]
        case str() | int() | float() if not isinstance(value, bool):
            return [str(value)]
        case list():
            return [answer for item in value for answer in _answers(item)]
        case dict():
            return [*_answers(value.get("value")), *_answers(value.get("aliases"))]
    return []


def _words(text: str) -> str:
    """Its words, each between two blanks."""
    return f" {' '.join(word for portion in words(text) for word in portion)} "
