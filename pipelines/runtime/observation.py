"""What can be seen of a run while it goes on: on a terminal, in `progress.json`, and in the events file."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from synth.pipelines.runtime.counts import Counts

__all__ = ["Observation", "Observer"]


@dataclass(frozen=True)
class Observation:
    """A run at one moment. `rows` is the number of input rows; 0 before they are read.

    `prepared` counts the rows that the first pass of a table stage has read. `phase` says in words what the run waits
    for before it can begin or go on. The rest is about requests of this process: how many the model, the sandbox, the
    index and the reward model have answered, the `tokens` of the model's completions, and how many requests are
    `in_flight`.
    """

    rows: int = 0
    counts: Counts = field(default_factory=Counts)
    prepared: int = 0
    phase: str | None = None
    answers: int = 0
    tokens: int = 0
    verdicts: int = 0
    searches: int = 0
    scores: int = 0
    in_flight: int = 0

    def plus(self, other: "Observation") -> "Observation":
        """What two workers of a run do; `rows` are the same."""
        counts = Counts()
        counts.add(self.counts)
        counts.add(other.counts)
        added = ("answers", "tokens", "verdicts", "searches", "scores", "in_flight")
        sums = {name: getattr(self, name) + getattr(other, name) for name in added}
        phases = dict.fromkeys(filter(None, (self.phase, other.phase)))
        return replace(self, counts=counts, phase=", ".join(phases) or None, **sums)

    def facts(self) -> dict[str, Any]:
        """As plain data, independent of later changes to the counts."""
        return asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Observation":
        """From `facts` among others; those that another version of synth did not write have their defaults."""
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        return cls(**{**known, "counts": Counts(**facts["counts"])})


# Called about twice a second while a run goes on.
Observer = Callable[[Observation], None]
