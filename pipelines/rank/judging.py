"""What a judge is asked of all responses at once: in which order they are shown, and what it replies."""

import json
from random import Random

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.asking import Form, whole_text
from synth.pipelines.runtime.stage import Reject

__all__ = ["SCALE", "form_of", "judgement_in", "orders"]

SCALE = range(1, 11)
LONGEST_REASON = 1000


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
    reason = {"type": "string", "maxLength": LONGEST_REASON}
    score = {"type": "integer", "minimum": SCALE[0], "maximum": SCALE[-1]}
    return Form.of({"reason": reason, **{str(number): score for number in range(1, count + 1)}})


def judgement_in(completion: Completion, order: list[int]) -> tuple[str, list[int]]:
    """The reason, and the scores of the responses as they were before the `order` in which they were shown.

    Raises `Reject`: `unreadable`, `refused`, `empty_answer`, `truncated`.
    """
    text = whole_text(completion)
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(text, max(text.find("{"), 0))
        shown = [found[str(place)] for place in range(1, len(order) + 1)]
        reason = str(found.get("reason") or "")
        # Half of a surrogate pair cannot be stored.
        reason.encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Reject("unreadable", f"it has no object with a score for each of {len(order)} responses") from None
    if not all(type(score) is int and score in SCALE for score in shown):
        raise Reject("unreadable", f"the scores {shown} are not integers from {SCALE[0]} to {SCALE[-1]}")
    return reason, [score for _, score in sorted(zip(order, shown, strict=True))]
