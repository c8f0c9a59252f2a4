"""Traces of a review in the answer that was written after it."""

import re

from synth.pipelines.runtime.text.words import words

__all__ = ["trace_of_feedback"]

# So many words in a row of the review are no accident.
RUN = 8

_PHRASES = re.compile(
    r"""\b(?:
      as\ (?:you|the\ (?:reviewer|feedback|review))\ (?:rightly\ |correctly\ )?
        (?:point(?:ed|s)?\ out|not(?:ed|es?)|mention(?:ed|s)?|said|says?|suggest(?:ed|s)?|wrote)
    | thank(?:s|\ you)\ for\ (?:the|your|pointing|this)
    | (?:based\ on|according\ to|following|given)\ (?:the|your)\ (?:feedback|review|critique|comments)
    | (?:the|your)\ (?:feedback|review|reviewer|critique)
    | (?:my|the)\ (?:previous|earlier|first|initial|original)\ (?:answer|response|attempt|solution)
    | (?:corrected|revised|improved|refined|updated)\ (?:answer|version|response|solution)
    | you(?:'re|’re|\ are)\ (?:absolutely\ |quite\ )?right
    | (?:i|my)\ apolog(?:ise|ize|ies)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def trace_of_feedback(text: str, feedback: str, *known: str) -> str | None:
    """A phrase that speaks of a review, or eight words in a row of the `feedback`, as evidence; None if there is none.

    What the `known` texts have, such as the task and the answer that the review quotes, is no evidence: an apology may
    apologise.
    """
    before = "\n".join(known).casefold()
    for found in _PHRASES.finditer(text):
        if found[0].casefold() not in before:
            return found[0]
    taken = _runs(feedback).difference(*map(_runs, known))
    said = [word for portion in words(text) for word in portion]
    for start in range(len(said) - RUN + 1):
        if (run := tuple(said[start : start + RUN])) in taken:
            return " ".join(run)
    return None


def _runs(text: str) -> set[tuple[str, ...]]:
    said = [word for portion in words(text) for word in portion]
    return {tuple(said[start : start + RUN]) for start in range(len(said) - RUN + 1)}
