"""Columns that are drawn at random, so that one prompt asks in many ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from synth.pipelines.prompted.files import json_object
from synth.schemas.errors import UsageError

__all__ = ["Variation"]


@dataclass(frozen=True)
class Variation:
    """For each column, the values to draw from, each with its weight."""

    columns: Mapping[str, Sequence[tuple[str, float]]]

    @classmethod
    def load(cls, name: str) -> "Variation":
        """Read `{"style": ["plain", "formal"], "difficulty": {"easy": 2, "hard": 1}}`. Raises `UsageError`."""
        content = json_object(name, "--vary")
        return cls({column: _weighted(values, f"--vary {name}: {column}") for column, values in content.items()})

    def draw(self, random: Random) -> dict[str, str]:
        """A value for each column."""
        return {
            column: random.choices([value for value, _ in values], [weight for _, weight in values])[0]
            for column, values in self.columns.items()
        }


def _weighted(values: Any, where: str) -> list[tuple[str, float]]:
    pairs = list(values.items() if isinstance(values, dict) else ((value, 1) for value in values or ()))
    if isinstance(values, str) or not pairs or not all(isinstance(value, str) for value, _ in pairs):
        raise UsageError(f"{where}: expected a list of strings, or an object of strings with weights")
    if not all(isinstance(weight, int | float) and weight >= 0 for _, weight in pairs) or not sum(w for _, w in pairs):
        raise UsageError(f"{where}: weights must be numbers that are not negative, nor all 0")
    return [(value, float(weight)) for value, weight in pairs]
