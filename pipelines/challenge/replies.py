"""The replies that are asked for as JSON: patterns, questions, a sharper pattern, a mark."""

from collections.abc import Mapping, Sequence
from typing import Any

from synth.pipelines.challenge.naming import same_name
from synth.pipelines.engines import Completion
from synth.pipelines.runtime.asking import REASON, Form, object_in, whole_text
from synth.pipelines.runtime.stage import Reject

__all__ = [
    "MARK",
    "SHARPER",
    "patterns_form",
    "questions_form",
    "read_mark",
    "read_patterns",
    "read_questions",
    "read_sharper",
]

# A weak model would not end its lists and texts by itself.
MOST_PATTERNS = 10
LONGEST_NAME, LONGEST_QUESTION, LONGEST_TEXT = 80, 600, 1000


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


SHARPER = Form.of({"description": _text(LONGEST_TEXT), "suggestion": _text(LONGEST_TEXT)})
MARK = Form.of({"reason": REASON, "correct": {"type": "boolean"}})


def patterns_form(failures: int) -> Form:
    """A list of patterns, each with the numbers of those of so many failures that show it."""
    numbers = {"type": "integer", "minimum": 1, "maximum": failures}
    pattern = Form.of(
        {
            "name": _text(LONGEST_NAME),
            "description": _text(LONGEST_TEXT),
            "suggestion": _text(LONGEST_TEXT),
            "examples": {"type": "array", "items": numbers, "minItems": 1, "maxItems": failures},
        }
    )
    return Form.of({"patterns": {"type": "array", "items": pattern.schema, "minItems": 1, "maxItems": MOST_PATTERNS}})


def questions_form(n: int) -> Form:
    return Form.of({"questions": {"type": "array", "items": _text(LONGEST_QUESTION), "minItems": 1, "maxItems": n}})


def read_patterns(completion: Completion) -> list[dict[str, Any]]:
    """The patterns of a reply; `examples` are whole numbers, whether there are such failures or not.

    Raises `Reject`, as all readers here: `refused`, `empty_answer`, `truncated`; `unreadable` if the reply has no JSON
    object in it; `wrong_fields` if a member of that is missing or of another type.
    """
    patterns = []
    for one in _list_in(completion, "patterns"):
        texts = _texts_in(one, "name", "description", "suggestion")
        if not same_name(texts["name"]):
            raise Reject("wrong_fields", '"name" must have a word in it')
        patterns.append({**texts, "examples": _numbers_in(one)})
    return patterns


def read_questions(completion: Completion) -> list[str]:
    """The questions of a reply, each on one line."""
    return [_texts_in({"question": one}, "question")["question"] for one in _list_in(completion, "questions")]


def read_sharper(completion: Completion) -> dict[str, Any]:
    """The new description and suggestion of a pattern, and the thought before them."""
    return {
        **_texts_in(object_in(whole_text(completion)), "description", "suggestion"),
        "reasoning": completion.reasoning,
    }


def read_mark(completion: Completion) -> tuple[bool, str]:
    """Whether an answer is right, and why; "" if it does not say so."""
    found = object_in(whole_text(completion))
    if not isinstance(found.get("correct"), bool):
        raise Reject("wrong_fields", '"correct" must be true or false')
    return found["correct"], str(found.get("reason") or "")


def _list_in(completion: Completion, name: str) -> Sequence[Any]:
    found = object_in(whole_text(completion)).get(name)
    if not isinstance(found, list) or not found:
        raise Reject("wrong_fields", f'"{name}" must be a list that is not empty')
    return found


def _texts_in(value: Any, *names: str) -> dict[str, str]:
    members = value if isinstance(value, dict) else {}
    texts = {name: members[name] for name in names if isinstance(members.get(name), str)}
    texts = {name: " ".join(text.split()) for name, text in texts.items() if text.strip()}
    for name in names:
        if name not in texts:
            raise Reject("wrong_fields", f'"{name}" must be a text')
    return texts


def _numbers_in(value: Mapping[str, Any]) -> list[int]:
    found = value.get("examples")
    if not isinstance(found, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in found):
        raise Reject("wrong_fields", '"examples" must be a list of numbers of failures')
    return found
