"""What comes of an input row besides output rows: it is rejected, or has no answer, or its outputs are filtered."""

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.pipelines.engines import Answer

__all__ = ["EmptyAnswer", "Reject", "Rejected", "Row", "Unanswered", "allow_empty", "nothing_kept"]

Row = Mapping[str, Any]


class Reject(Exception):
    """Raised in a row stage: this input row gives nothing. `reason` is a name to count by, `detail` is for a reader."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Unanswered(Reject):
    """Raised by a tool that gets no answer to one request, though others get theirs.

    A stage that needs the answer lets it pass, and the row has failed by that name: nobody has judged it, and it may be
    tried again. A stage that can do without it catches `Reject` and filters out what the answer was for.
    """


class EmptyAnswer(Reject):
    """Raised by the engine's tool where no completion of an `answer` says anything.

    Where it passes through a stage, the input row is rejected. A stage that has another try, or that gives a row for
    each completion, takes the answer (`allow_empty`) and looks at each completion's `no_answer`.
    """

    def __init__(self, reason: str, detail: str, answer: Answer) -> None:
        super().__init__(reason, detail)
        self.answer = answer


async def allow_empty(asked: Awaitable[Answer]) -> Answer:
    """What `LLM.generate` answers, even where no completion says anything."""
    try:
        return await asked
    except EmptyAnswer as nothing:
        return nothing.answer


@dataclass(frozen=True, slots=True)
class Rejected:
    """An output row that was made and filtered out. It goes to `rejected/` with its reason.

    `cause` is what a tool raised where it was to be made, if that is the reason.
    """

    row: Row
    reason: str
    detail: str = ""
    cause: Reject | None = None

    @classmethod
    def because(cls, cause: Reject, row: Row) -> "Rejected":
        return cls(row, cause.reason, cause.detail, cause)


def nothing_kept(rejected: Sequence[Rejected]) -> Reject:
    """Why a row gives nothing: the reason that all its outputs share, or `nothing_kept`.

    Where tools raised that reason for all of them it is what they raised, so that a row that no engine answers fails.
    """
    reasons = Counter(one.reason for one in rejected)
    if len(reasons) > 1:
        return Reject("nothing_kept", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    causes = [one.cause or Reject(one.reason, one.detail) for one in rejected]
    return next((cause for cause in causes if not isinstance(cause, Unanswered)), causes[0])
