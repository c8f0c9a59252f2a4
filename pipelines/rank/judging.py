"""What a judge is asked of all responses at once: in which order they are shown, and what it replies."""

import json
from random import Random
from typing import Any

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.asking import REASON, Form, object_in, whole_text
from synth.pipelines.runtime.stage import Reject

__all__ = ["SCALE", "form_of", "judgement_in", "orders"]

SCALE = range(1, 11)


def orders(count: int, rounds: int, random: Random) -> list[list[int]]:
    """In which order each round shows the responses: a random one, then its reverse, then another random one.

    If a judge prefers places, each by the same amount to the next one, two rounds cancel that.
    """
    found: list[list[int]] = []
    for number in range(rounds):
        found.append(found[-1][::-1] if number % 2 else random.sample(range(count), count))
    return found


def form_of(count: int) -> Form:
    """A reason, then the score of each of `count` responses by its number."""
    score = {"type": "integer", "minimum": SCALE[0], "maximum": SCALE[-1]}
    return Form.of({"reason": REASON, **{str(number): score for number in range(1, count + 1)}})


def judgement_in(completion: Completion, order: list[int]) -> tuple[str, list[int]]:
    """The reason, and the scores of the responses as they were before the `order` in which they were shown.

    Raises `Reject`: `unreadable`, `wrong_fields`, `refused`, `empty_answer`, `truncated`.
    """
    found = object_in(whole_text(completion))
    shown: list[Any] = [found.get(str(place)) for place in range(1, len(order) + 1)]
    if not all(type(score) is int and score in SCALE for score in shown):
        said = ", ".join("none" if score is None else json.dumps(score) for score in shown)
        raise Reject("wrong_fields", f"the scores are {said:.200}: {len(order)} integers from 1 to 10 are needed")
    return str(found.get("reason") or ""), [score for _, score in sorted(zip(order, shown, strict=True))]
