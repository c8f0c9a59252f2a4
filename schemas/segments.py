"""Text with parts that are not learnt: the column `segments`, which several recipes write and trainers read.

A row's segments are the parts of the assistant's last turn, in order. Joined, they are its text, to the character; the
text of a segment with `loss` 0 is context for what follows, and no loss is taken on it (partial answer masking, arXiv
2401.07301). A token that lies across a border between both kinds is not learnt either.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

__all__ = [
    "LEARNT",
    "NOT_LEARNT",
    "SEGMENTS_TYPE",
    "Segment",
    "fault_of",
    "joined",
    "learnt_tokens",
    "segment",
    "spans",
    "unlearnt",
]

SEGMENTS_TYPE = pa.list_(pa.struct([("text", pa.string()), ("loss", pa.int32())]))

NOT_LEARNT, LEARNT = 0, 1

Segment = Mapping[str, Any]
# Characters from the first to before the last.
Span = tuple[int, int]


def segment(text: str, loss: int) -> dict[str, Any]:
    return {"text": text, "loss": loss}


def joined(segments: Sequence[Segment]) -> str:
    """The text of which they are the parts."""
    return "".join(part["text"] for part in segments)


def spans(segments: Sequence[Segment]) -> Iterator[Span]:
    """The characters of each segment in the joined text."""
    start = 0
    for part in segments:
        yield start, start + len(part["text"])
        start += len(part["text"])


def unlearnt(segments: Sequence[Segment]) -> list[Span]:
    """The characters of the joined text that are not learnt."""
    return [span for span, part in zip(spans(segments), segments, strict=True) if part["loss"] == NOT_LEARNT]


def fault_of(segments: Sequence[Segment | None], turn: str | None) -> str | None:
    """Why they are not the parts of this turn, in words; None if they are."""
    for number, part in enumerate(segments, start=1):
        if part is None or part.get("text") is None:
            return f"segment {number} has no text"
        if part.get("loss") not in (NOT_LEARNT, LEARNT):
            return f"the loss of segment {number} is {part.get('loss')}, where 0 or 1 is needed"
    if joined([part for part in segments if part]) != turn:
        return "the segments together are not the text of the assistant's last turn"
    return None


def learnt_tokens(offsets: Sequence[Span], not_learnt: Sequence[Span]) -> Iterator[bool]:
    """Whether each token, by its characters, is free of the spans that are not learnt.

    Some tokenizers leave the blanks before a word out of its offsets, although the token has them, so a token begins
    where the last one ends.
    """
    last = 0
    for start, end in offsets:
        begin, last = min(start, last), max(end, last)
        yield not any(begin < stop and end > first for first, stop in not_learnt)
