"""Verdicts: replies in which a model says whether an answer is right, and why."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.asking import Form, whole_text
from synth.pipelines.runtime.stage import Reject
from synth.pipelines.runtime.text.json_values import json_in

__all__ = ["REVIEW", "TEXT", "Judgement", "judgement_of"]

# A text of a reply in JSON. That of a review is a sentence at least.
TEXT = {"type": "string", "minLength": 1, "maxLength": 4000}
REVIEW = Form.of(
    {"review": {**TEXT, "minLength": 20}, "verdict": {"enum": ["correct", "incorrect"]}},
    "Reply with a JSON object: `review` is what you have to say, and `verdict` is correct or incorrect.",
)

_LINE = re.compile(r"^[\s*_#>-]*(?:\d[.)]\s*)?[*_]*verdict[\s*_:]*(.*)$", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"(in)?correct[\s*_.!]*", re.IGNORECASE)


@dataclass(frozen=True)
class Judgement:
    """What was said about an answer before the verdict, whether that is that it is right, and what came after it."""

    text: str
    is_right: bool
    after: str = ""

    @property
    def verdict(self) -> str:
        return "correct" if self.is_right else "incorrect"


def judgement_of(completion: Completion) -> Judgement:
    """Read a reply that ends with a line `Verdict: correct` or `Verdict: incorrect`; only the last such line counts.

    A reply may also be a JSON object as `REVIEW` asks for it, with what comes after the verdict as `answer`.

    Raises `Reject`: `refused`, `empty_answer`, `truncated`, `no_verdict` (no such line, or neither or both of the words
    in it) or `no_reason` (nothing before it).
    """
    reply = whole_text(completion)
    found = json_in(reply)
    text, verdict, after = _in_json(found) if isinstance(found, dict) else _in_lines(reply)
    word = _WORD.fullmatch(verdict)
    if word is None:
        raise Reject("no_verdict", f"the verdict is {verdict!r:.60}" if verdict else "there is no verdict")
    if not text:
        raise Reject("no_reason", "nothing is said before the verdict")
    return Judgement(text, not word[1], after)


def _in_lines(reply: str) -> tuple[str, str, str]:
    """What is said before the verdict, the verdict, and what comes after it; empty if there is none."""
    lines = list(_LINE.finditer(reply))
    if not lines:
        return "", "", ""
    last = lines[-1]
    return reply[: last.start()].strip(), last[1].strip(), reply[last.end() :].strip()


def _in_json(found: Mapping[str, Any]) -> tuple[str, str, str]:
    said = {name: text.strip() for name, text in found.items() if isinstance(text, str)}
    return said.get("review", ""), said.get("verdict", ""), said.get("answer", "")
