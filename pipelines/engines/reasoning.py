"""What a model thinks before it answers, separated from the answer, once for all engines and recipes.

Servers and vLLM's own reasoning parsers give the two apart. Elsewhere the reasoning stands in the text between markers
such as `<think>` and `</think>`. The journal holds the text as the engine gave it, so that recorded answers can be
separated again.
"""

import re

from msgspec.structs import replace

from pipelines.engines import Completion

__all__ = ["MARKERS", "left_open", "separated"]

# Opening and closing markers of the model families that write their reasoning into the text.
MARKERS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
_CLOSES = {opening.lower(): closing.lower() for opening, closing in MARKERS}
# The set of first characters lets the search pass quickly over text without markers.
_MARKER = re.compile(
    f"(?=[{''.join(sorted({re.escape(pair[0][0]) for pair in MARKERS}))}])"
    f"(?:{'|'.join(re.escape(marker) for pair in MARKERS for marker in pair)})",
    re.IGNORECASE,
)


def separated(completion: Completion) -> Completion:
    """The completion with its reasoning apart from its text; as it is where it has no marker.

    Reasoning runs from an opening marker to the next closing one of the same kind, and may occur several times. What
    precedes a closing marker without an opening one is reasoning, because some chat templates open it in the prompt.
    Reasoning that is never closed is a reply that was cut: its `finish_reason` becomes `length`. White space between
    reasoning and answer belongs to neither; pieces of reasoning are joined by a blank line.
    """
    reasoning, answer, is_open = _parts(completion.text)
    if reasoning is None:
        return completion
    pieces = [piece for piece in (completion.reasoning, reasoning) if piece]
    return replace(
        completion,
        text=answer,
        reasoning="\n\n".join(pieces) or None,
        finish_reason="length" if is_open and completion.finish_reason != "refused" else completion.finish_reason,
    )


def _parts(text: str) -> tuple[str | None, str, bool]:
    """The reasoning in `text` (None where there is no marker), the rest, and whether the reasoning is left open."""
    reasoning: list[str] = []
    answer: list[str] = []
    closing: str | None = None
    start = 0
    for found in _MARKER.finditer(text):
        marker = found[0].lower()
        if closing is not None and marker != closing:
            continue
        piece = text[start : found.start()]
        if closing is not None:
            reasoning.append(piece)
            closing = None
        elif marker in _CLOSES:
            answer.append(piece)
            closing = _CLOSES[marker]
        else:
            # It closes what was opened in the prompt, or what mentioned a closing marker: all before it is reasoning.
            reasoning += [*answer, piece]
            answer = []
        start = found.end()
    if not start:
        return None, text, False
    (answer if closing is None else reasoning).append(text[start:])
    return (
        "\n\n".join(filter(None, map(str.strip, reasoning))),
        "".join(piece.lstrip() for piece in answer),
        closing is not None,
    )


def left_open(prompt: str) -> str:
    """The opening marker with which a prompt ends, as some chat templates write it; empty where there is none."""
    end = prompt.rstrip()
    return next((opening for opening, _ in MARKERS if end.endswith(opening)), "")
