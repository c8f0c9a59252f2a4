"""Selecting sampled paths: correct ones, one per calculation (arXiv 2308.01825, section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from synth.pipelines.runtime.answers.answer import FinalAnswer
from synth.pipelines.runtime.answers.equations import calculation_key, equation_fault, find_equations
from synth.pipelines.runtime.answers.rules import AnswerRule

__all__ = ["Path", "judge", "select_paths"]


@dataclass(frozen=True, slots=True)
class Path:
    """A judged path.

    `text` ends with its answer line. A correct path has a `key` and no `reason`; otherwise `reason` is `no_answer`,
    `wrong_answer` or `wrong_equation`, and `detail` says what was found.
    """

    text: str
    key: str = ""
    reason: str = ""
    detail: str = ""


def judge(response: str, gold: FinalAnswer, answers: AnswerRule, *, plain_equations: bool = False) -> Path:
    """A path is correct if its answer is the gold answer and all its equations, if any, are correct.

    Text after the answer line is ignored, so a path cut by the token limit after its answer may be correct, and later
    equations do not count. (In the published code they do.)
    """
    answer = answers.find(response)
    if answer is None:
        return Path(response, reason="no_answer", detail="no final answer can be read")
    text = response[: answer.end]
    if not answers.same(answer, gold):
        return Path(text, reason="wrong_answer", detail=f"answers {answer.text:.80}, gold is {gold.text:.80}")
    equations = find_equations(text, plain=plain_equations)
    for equation in equations:
        fault = equation_fault(equation)
        if fault:
            return Path(text, reason="wrong_equation", detail=fault)
    return Path(text, key=calculation_key(equations))


def select_paths(paths: Sequence[Path]) -> dict[int, int]:
    """Maps the index of each correct path of one question to that of the kept path with its key.

    In sample order: a path with a new key is kept. A later path with the same key replaces the kept one if it is
    strictly farther from the other kept paths (sum of Levenshtein distances in characters). The values are in order of
    acceptance; a replacement takes the rank of the path it replaces. As in the paper, the result depends on the order
    of `paths`. All paths without equations share the empty key, so at most one of them is kept.
    """
    from rapidfuzz.distance import Levenshtein

    kept: dict[str, int] = {}
    distances: dict[tuple[str, str], int] = {}

    def distance(one: str, other: str) -> int:
        pair = (one, other) if one < other else (other, one)
        if pair not in distances:
            distances[pair] = Levenshtein.distance(one, other)
        return distances[pair]

    for index, path in enumerate(paths):
        if path.reason:
            continue
        rival = paths[kept.setdefault(path.key, index)]
        if rival.text == path.text:
            continue
        # Kept paths differ in key, so these are the published code's "texts that differ from the rival's".
        others = [paths[other].text for key, other in kept.items() if key != path.key]
        if sum(distance(path.text, other) for other in others) > sum(distance(rival.text, other) for other in others):
            kept[path.key] = index
    return {index: kept[path.key] for index, path in enumerate(paths) if not path.reason}
