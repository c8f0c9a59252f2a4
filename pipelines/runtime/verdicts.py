"""Verdicts: replies in which a model says whether an answer is right, and why."""

import re
from dataclasses import dataclass

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.stage import Reject

__all__ = ["Judgement", "judgement_of"]

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

    Raises `Reject`: `refused`, `empty_answer`, `cut`, `no_verdict` (no such line, or neither or both of the words in
    it) or `no_reason` (nothing before it).
    """
    if completion.cut or completion.no_answer:
        raise Reject(*(completion.no_answer or ("cut", completion.cut or "")))
    lines = list(_LINE.finditer(completion.text))
    found = _WORD.fullmatch(lines[-1][1].strip()) if lines else None
    if found is None:
        said = f"the last verdict is {lines[-1][1].strip()!r:.60}" if lines else "there is no line with a verdict"
        raise Reject("no_verdict", said)
    text = completion.text[: lines[-1].start()].strip()
    if not text:
        raise Reject("no_reason", "nothing is said before the verdict")
    return Judgement(text, not found[1], completion.text[lines[-1].end() :].strip())
