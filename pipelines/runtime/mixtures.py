"""Mixtures: how much to take of each of several datasets, by name, as a small JSON file.

    {"weights": {"math": 5, "code": 3}}

Steps that work out a mixture write it to their output; what else they found stands beside the weights. `synth mix`
reads it, and takes its inputs by their names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from synth.schemas.atomic import write_json
from synth.schemas.errors import InputError, UsageError

__all__ = ["MIXTURE", "Mixture"]

MIXTURE = "mixture.json"
_WEIGHTS = "weights"


@dataclass(frozen=True)
class Mixture:
    """Weights by name: none is negative, and not all are 0."""

    weights: Mapping[str, float]

    @classmethod
    def read(cls, path: Path, flag: str) -> "Mixture":
        """Read a file that was given with `flag`. Raises `InputError` if it is no mixture."""
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise InputError(f"{flag} {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{flag} {path} is not JSON: {error}") from error
        weights = content.get(_WEIGHTS) if isinstance(content, dict) else None
        if not isinstance(weights, dict) or not weights:
            raise InputError(f'{flag} {path} is not of the form {{"{_WEIGHTS}": {{NAME: NUMBER, ...}}}}')
        for name, weight in weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not isfinite(weight) or weight < 0:
                raise InputError(f"{flag} {path}: the weight of {name} must be a number of at least 0, not {weight!r}")
        if not any(weights.values()):
            raise InputError(f"{flag} {path}: all weights are 0")
        return cls({name: float(weight) for name, weight in weights.items()})

    def write(self, path: Path, **facts: Any) -> None:
        write_json(path, {_WEIGHTS: dict(self.weights), **facts})

    def of(self, names: Sequence[str], flag: str) -> list[float]:
        """The weights of these names, in order. Raises `UsageError` unless it has these names and no others."""
        for name in names:
            if name not in self.weights:
                raise UsageError(f"{flag}: there is no weight of {name}, only of {', '.join(self.weights)}")
        for name in self.weights:
            if name not in names:
                raise UsageError(f"{flag}: there is a weight of {name}, which is none of {', '.join(names)}")
        return [self.weights[name] for name in names]
