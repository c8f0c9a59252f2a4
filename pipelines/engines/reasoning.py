"""Separates a model's reasoning from its answer, for all engines and recipes.

Servers and vLLM's reasoning parsers return the two separately. Otherwise the text has it between markers such as
`<think>` and `</think>`. The journal has the engine's original text, so that recorded answers can be separated again.
"""

import re

from msgspec.structs import replace

from synth.pipelines.engines import Completion, Message

__all__ = ["ENVELOPES", "MARKERS", "closing_marker", "opening_marker", "separate_reasoning"]

# Opening and closing markers of reasoning, by model family.
MARKERS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    ("<|channel>", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
)
# Markers that the same models put around the answer.
ENVELOPES: tuple[tuple[str, str], ...] = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<output>", "</output>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
)
# Tokens between the messages of channels.
_BETWEEN_CHANNELS = ("<|return|>", "<|start|>assistant", "<|end|>")

_CLOSES = {opening.lower(): closing.lower() for opening, closing in MARKERS}
_OPENINGS = "|".join(re.escape(opening) for opening, _ in MARKERS)
_MARKER = re.compile(
    f"(?=[<[◁])(?:{_OPENINGS}|{'|'.join(re.escape(closing) for _, closing in MARKERS)})", re.IGNORECASE | re.ASCII
)
# Fast path (10x): text without any of these endings of markers, by their last characters.
_ALL_ENDINGS = sorted({marker.lower()[-2 if marker.endswith("|>") else -5 :] for pair in MARKERS for marker in pair})
_ENDINGS = {last: [ending for ending in _ALL_ENDINGS if ending[-1] == last] for last in ">]▷"}
_LAST_CHARACTERS = tuple({opening[-1] for opening, _ in MARKERS})
_OPENING_AT_END = re.compile(rf"(?:{_OPENINGS})\s*\Z", re.IGNORECASE | re.ASCII)
_LONGEST_OPENING = 80
_ENVELOPES = [
    re.compile(
        rf"{re.escape(opening)}((?:(?!{re.escape(closing)}).)*)(?:{re.escape(closing)})?\Z",
        re.IGNORECASE | re.ASCII | re.DOTALL,
    )
    for opening, closing in ENVELOPES
]


def opening_marker(prompt: str | tuple[Message, ...]) -> str:
    """The opening marker at the end of a prompt, after which the model continues with its reasoning; "" if none.

    Markers added by a server's chat template are not seen here.
    """
    if not isinstance(prompt, str):
        if prompt[-1]["role"] != "assistant":
            return ""
        prompt = prompt[-1]["content"]
    end = prompt[-_LONGEST_OPENING:].rstrip()
    found = _OPENING_AT_END.search(end) if end.endswith(_LAST_CHARACTERS) else None
    return found[0] if found else ""


def closing_marker(completion: Completion) -> str:
    """The closing marker that ended the completion as its stop string, so that its text lacks it; "" if none did."""
    return completion.stop if completion.stop and completion.stop.lower() in _CLOSES.values() else ""


def separate_reasoning(completion: Completion, opened: str = "") -> Completion:
    """Move the reasoning in the completion's text to `reasoning`; unchanged if there is no marker.

    Reasoning extends from an opening marker, which may be at the end of the prompt (`opened`), to the next closing
    marker of the same kind, and may occur several times. Text before a closing marker without an opening one is
    reasoning too, because some chat templates open it in the prompt. The closing marker may be the stop string of the
    request, which the text lacks. If reasoning is never closed, the reply was cut: `finish_reason` becomes `length`.
    White space between reasoning and answer is dropped, as is an envelope around the whole answer; pieces of reasoning
    are joined by a blank line.
    """
    text = completion.text + closing_marker(completion)
    if opened and completion.reasoning is None:
        text = opened + text
    if not _may_have_markers(text):
        return completion
    reasoning, answer, is_open = _parts(text)
    if reasoning is None:
        return completion
    pieces = [piece for piece in (completion.reasoning, reasoning) if piece]
    return replace(
        completion,
        text=_without_envelope(answer),
        reasoning="\n\n".join(pieces) or None,
        finish_reason="length" if is_open and completion.finish_reason != "refused" else completion.finish_reason,
    )


def _may_have_markers(text: str) -> bool:
    for last, endings in _ENDINGS.items():
        if last in text:
            lowered = text.lower()
            for ending in endings:
                if ending in lowered:
                    return True
    return False


def _parts(text: str) -> tuple[str | None, str, bool]:
    """The reasoning in `text` (None if there is no marker), the rest, and whether the reasoning is still open."""
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
            # It closes reasoning opened in the prompt, or that mentioned a closing marker: all before it is reasoning.
            reasoning += [*answer, piece]
            answer = []
        start = found.end()
    if not start:
        return None, text, False
    (answer if closing is None else reasoning).append(text[start:])
    return "\n\n".join(filter(None, map(_without_channels, reasoning))), _joined(answer), closing is not None


def _joined(answer: list[str]) -> str:
    """Join the pieces of an answer that is interrupted by reasoning, by the white space between them or a blank."""
    text = ""
    for piece in filter(str.strip, answer):
        if text and not text[-1].isspace() and not piece[0].isspace():
            text += " "
        text += piece if text and not text[-1].isspace() else piece.lstrip()
    return text


def _without_channels(piece: str) -> str:
    piece = piece.strip()
    for mark in _BETWEEN_CHANNELS:
        piece = piece.removesuffix(mark).removeprefix(mark).strip()
    return piece


def _without_envelope(answer: str) -> str:
    """Remove markers around the whole answer; in a cut answer the closing one is missing."""
    bare = _without_channels(answer)
    for envelope in _ENVELOPES:
        if found := envelope.match(bare):
            return found[1].strip()
    return answer if bare == answer.strip() else bare
