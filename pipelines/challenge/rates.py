"""How often the questions of a pattern are answered wrongly, and what is known of that from a few of them."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

__all__ = ["FailureRate"]

# 95 % of a normal distribution are within so many standard deviations of its mean.
DEVIATIONS = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class FailureRate:
    """`failed` of `marked` answers are wrong; there is at least one."""

    failed: int
    marked: int

    @property
    def rate(self) -> float:
        return self.failed / self.marked

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate by Wilson's score, both ends from 0 to 1."""
        n, square = self.marked, DEVIATIONS**2
        middle = self.rate + square / (2 * n)
        half = DEVIATIONS * sqrt(self.rate * (1 - self.rate) / n + square / (4 * n**2))
        return max(0.0, (middle - half) / (1 + square / n)), min(1.0, (middle + half) / (1 + square / n))

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.failed} of {self.marked} answers are wrong: {100 * self.rate:.1f} %, "
            f"with 95 % certainty {100 * low:.1f} to {100 * high:.1f} %"
        )
