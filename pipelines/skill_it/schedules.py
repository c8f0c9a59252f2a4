"""The settings with which the authors ran Skill-It: scripts of HazyResearch/skill-it, for arXiv 2307.14430."""

from dataclasses import asdict, dataclass

__all__ = ["SCHEDULES", "Schedule"]


@dataclass(frozen=True)
class Schedule:
    """`eta` and `window` are those of the rule; the rest is for the training. A `window` counts evaluations.

    With `update_every` None the mixture stays the first one.
    """

    eta: float
    window: int
    steps: int
    update_every: int | None
    evaluations: int
    batch_size: int

    @property
    def training(self) -> dict[str, int | None]:
        """What a training needs to know."""
        return {name: value for name, value in asdict(self).items() if name not in ("eta", "window")}

    @property
    def evaluate_every(self) -> int:
        """In steps."""
        return self.steps // self.evaluations


SCHEDULES = {
    "lego": Schedule(0.5, 3, 6000, 1000, 120, 32),
    "lego-target": Schedule(0.5, 3, 6000, 500, 120, 32),
    "addition": Schedule(0.1, 3, 6000, 1200, 120, 32),
    "addition-target": Schedule(0.1, 3, 6000, 1200, 60, 32),
    "spanish-qg": Schedule(0.8, 3, 600, 100, 6, 4),
    "stance-detection": Schedule(0.5, 3, 600, 100, 6, 4),
    "natural-instructions": Schedule(0.2, 3, 5000, None, 10, 4),
    "natural-instructions-ood": Schedule(0.2, 3, 5000, 500, 10, 4),
}
