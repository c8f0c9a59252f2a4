"""The four criteria and the decision that they lead to (arXiv 2406.12534, section 3, and its published code)."""

from collections.abc import Mapping

__all__ = ["RETRIEVES", "class_of", "decide"]

# The criteria in the order of the decision, each with what its class 0 decides: whether to retrieve. Class 0 is the
# positive one in all of them: wants a search, needs no knowledge, changes with time, is not known to the model.
RETRIEVES: Mapping[str, bool] = {"intent": True, "knowledge": False, "time": True, "self": True}

DIGITS = 4
THRESHOLD = 0.5


def class_of(probability: float) -> int:
    """The class, 0 or 1, from the probability of class 0, which counts from one half on, rounded to four digits."""
    return 0 if round(probability, DIGITS) >= THRESHOLD else 1


def decide(probabilities: Mapping[str, float | None]) -> tuple[bool | None, str | None]:
    """Whether to retrieve, and the criterion that decides it: the first one whose class is 0.

    `probabilities` are those of class 0 by criterion; a criterion that is not there decides nothing. If none decides,
    nothing is retrieved, and the criterion is None. If one without a probability is reached, both are None.
    """
    for criterion, retrieves in RETRIEVES.items():
        if criterion not in probabilities:
            continue
        probability = probabilities[criterion]
        if probability is None:
            return None, None
        if class_of(probability) == 0:
            return retrieves, criterion
    return False, None
