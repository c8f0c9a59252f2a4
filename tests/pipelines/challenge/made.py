"""Failures, patterns and questions of a model that goes wrong, and what it says."""

import json
from collections.abc import Sequence
from typing import Any

from synth.pipelines.challenge.given import GivenRows
from synth.pipelines.challenge.questions import ChallengeQuestions
from synth.pipelines.challenge.refine import RefinePatterns
from synth.pipelines.runtime.prompts import Prompt

# What the model is asked begins with the word that says what for.
SUMMARIZE = Prompt("# user\nsummarize{% for one in failures %} {{ one.id }}{% endfor %}", "summarize")
WRITE = Prompt("# user\nwrite: {{ pattern.name }}, {{ domain }}, {{ examples|join(' + ') }}", "write")
ANSWER = Prompt("# user\nanswer: {{ question }}", "answer")
SHARPEN = Prompt(
    "# user\nsharpen: {{ pattern.name }}, wrong {{ wrong|map(attribute='id')|sort|join(' ') }}, "
    "right {{ right|map(attribute='id')|sort|join(' ') }}",
    "sharpen",
)
MARK = Prompt("# user\nmark: {{ question }} {{ answer }} {{ gold }}", "mark")


def failures(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"f{n}",
            "question": f"How many letters has the word number {n} of this book?",
            "answer": "9",
            "gold": "8",
        }
        for n in range(count)
    ]


def found(*patterns: tuple[str, Sequence[int]]) -> str:
    """A reply with patterns, each a name and the numbers of its examples."""
    return json.dumps(
        {
            "patterns": [
                {"name": name, "description": f"About {name}.", "suggestion": "More.", "examples": [*examples]}
                for name, examples in patterns
            ]
        }
    )


def pattern(name: str = "counting", **values: Any) -> dict[str, Any]:
    row = {"id": name, "name": name, "description": "It counts.", "suggestion": "Count.", "examples": ["f0", "f1"]}
    rest = ("support", "round", "marked", "failed", "failure_rate", "rate_low", "rate_high", "reasoning", "model")
    return {**dict.fromkeys(rest), **row, **values}


def question(number: int, correct: bool | None, of: str = "counting", **values: Any) -> dict[str, Any]:
    row = {"id": f"q{number}", "question": f"What is {number}?", "pattern": of, "answer": "It is.", "correct": correct}
    return {**row, "feedback": None, "gold": None, **values}


def given(rows: Sequence[dict[str, Any]]) -> GivenRows:
    return GivenRows(tuple(rows), "given by a test")


def questions(**options: Any) -> ChallengeQuestions:
    """Two questions for each of two domains."""
    asked = {"questions_prompt": WRITE, "answer_prompt": ANSWER, "domains": ("chess", "tea"), "per": 2}
    return ChallengeQuestions(**{"failures": given(failures(3)), **asked, **options})


def refine(*marked: dict[str, Any], **options: Any) -> RefinePatterns:
    return RefinePatterns(**{"questions": given(marked), "prompt": SHARPEN, "judge_prompt": MARK, **options})
