"""Outcomes of an input row besides output rows: rejection, no answer, filtered outputs."""

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from synth.pipelines.engines import Answer, Completion

__all__ = [
    "EmptyAnswer",
    "Reject",
    "Rejected",
    "Row",
    "Unanswered",
    "allow_empty",
    "check_not_empty",
    "last_completions",
    "nothing_kept",
]

Row = Mapping[str, Any]
# What the model gave the running coroutine last. Each concurrent one of a row has its own, and after a gathering of
# `asking` the row has those of all, in order: so they do not depend on which came first.
last_completions: ContextVar[tuple[Completion, ...]] = ContextVar("last_completions", default=())


def _last_replies() -> tuple[str, ...]:
    return tuple([completion.said for completion in last_completions.get()])


class Reject(Exception):
    """Raised by a row stage to reject an input row. `reason` is a name to count by, `detail` is for humans.

    `replies` are the model's replies that it is about, whole: by default those of the answer that the coroutine which
    raises it got last.
    """

    def __init__(self, reason: str, detail: str = "", replies: Sequence[str] | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        if not reason:
            raise ValueError("a rejection needs a reason, to be counted by")
        self.reason = reason
        self.detail = detail
        self.replies = _last_replies() if replies is None else tuple(replies)


class Unanswered(Reject):
    """Raised by a tool if a request gets no answer although others do.

    A stage that needs the answer lets it propagate: the row fails with that reason, because nothing has judged it, and
    can be retried. A stage that can do without it catches `Reject` and filters the output that needed the answer.
    """


class EmptyAnswer(Reject):
    """Raised by `LLM.generate` if every completion of the `answer` is blank or refused.

    If a stage lets it propagate, the input row is rejected. A stage that retries, or that yields a row for each
    completion, accepts the answer with `allow_empty` and checks `no_answer` of each completion.
    """

    def __init__(self, reason: str, detail: str, answer: Answer) -> None:
        super().__init__(reason, detail)
        self.answer = answer


async def allow_empty(answer: Awaitable[Answer]) -> Answer:
    """The answer of `LLM.generate`, even if every completion is blank or refused."""
    try:
        return await answer
    except EmptyAnswer as empty:
        return empty.answer


def check_not_empty(row: Row, *columns: str) -> None:
    """Raises `Reject` for the first of `columns` without text."""
    for column in columns:
        if not (row[column] or "").strip():
            raise Reject(f"no_{column}", "it is empty")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A filtered output row. It goes to `rejected/` with its reason.

    `replies` are those that it was made from: by default as for `Reject`. `cause` is the exception of a tool, if that
    is the reason.
    """

    row: Row
    reason: str
    detail: str = ""
    replies: Sequence[str] = field(default_factory=_last_replies)
    cause: Reject | None = None

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("a filtered output needs a reason, to be counted by")

    @classmethod
    def because(cls, cause: Reject, row: Row) -> "Rejected":
        return cls(row, cause.reason, cause.detail, cause.replies, cause)


def nothing_kept(rejected: Sequence[Rejected]) -> Reject:
    """Why a row has no output: the reason that all its filtered outputs share, or `nothing_kept`.

    If all of them have an `Unanswered` as their cause, it is an `Unanswered`, so that the row fails.
    """
    reasons = Counter(one.reason for one in rejected)
    if len(reasons) > 1:
        return Reject("nothing_kept", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    judged = [one for one in rejected if not isinstance(one.cause, Unanswered)]
    return Reject(judged[0].reason, judged[0].detail) if judged else Unanswered(rejected[0].reason, rejected[0].detail)
