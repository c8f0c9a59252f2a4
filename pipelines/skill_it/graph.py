"""The skills graph (arXiv 2307.14430): how much training on one skill helps another."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.schemas.errors import InputError

__all__ = ["Graph", "given", "learnt"]

# The weight of an edge that is only known to be there, as in the released graphs.
EDGE = 0.5


@dataclass(frozen=True)
class Graph:
    """`weights[i, j]`: how much training on skill i helps skill j of those evaluated. They may be negative.

    `trained_pairs` are those of which a model was trained to fill the graph; None if it was given.
    """

    skills: Sequence[str]
    evaluated: Sequence[str]
    weights: NDArray[np.float64]
    trained_pairs: int | None = None

    @property
    def edges(self) -> int:
        """How many skills help another one."""
        return int(np.count_nonzero(self._between & (self.weights > 0)))

    @property
    def possible_edges(self) -> int:
        return int(np.count_nonzero(self._between))

    @property
    def _between(self) -> NDArray[np.bool_]:
        """Whether each weight is one of two different skills."""
        return np.array([[skill != other for other in self.evaluated] for skill in self.skills])

    def lone(self) -> NDArray[np.bool_]:
        """Whether each skill neither helps nor hinders another, nor is helped or hindered by one."""
        edges = self._between & (self.weights != 0)
        helped = {other for other, is_helped in zip(self.evaluated, edges.any(axis=0), strict=True) if is_helped}
        return np.array([not row.any() and skill not in helped for skill, row in zip(self.skills, edges, strict=True)])


def given(table: pa.Table) -> Graph:
    """A graph of which each row has the weights of a skill. Raises `InputError` where one is no number."""
    skills = table["skill"].to_pylist()
    if repeated := next((skill for skill in skills if skills.count(skill) > 1), None):
        raise InputError(f"GRAPH: the skill {repeated} has several rows")
    evaluated = [name for name in table.column_names if name not in ("id", "skill")]
    if not evaluated:
        raise InputError("GRAPH has no column with weights, which has the name of the skill that is evaluated")
    weights = np.empty((len(skills), len(evaluated)))
    for column, name in enumerate(evaluated):
        for row, weight in enumerate(table[name].to_pylist()):
            weights[row, column] = _number(weight)
            if not isfinite(weights[row, column]):
                raise InputError(f"GRAPH: {skills[row]} has {weight!r} in the column {name}, where a number is needed")
    return Graph(skills, evaluated, weights)


def _number(value: Any) -> float:
    """A number, or one as text as in CSV files; not a number for anything else."""
    try:
        return nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return nan


def learnt(table: pa.Table) -> Graph:
    """A graph from losses of trainings of the same length: skill i has an edge to j if, trained on both, the model ends
    with a lower loss on j than trained on j alone. Losses of several trainings on the same skills are averaged.

    A pair without a training has no edge. Raises `InputError` for a pair whose skill j was never trained alone.
    """
    losses: defaultdict[tuple[str | None, str], list[float]] = defaultdict(list)
    for row in table.to_pylist():
        if not isfinite(row["loss"]):
            raise InputError(f"GRAPH: the loss of {row['skill']} is {row['loss']}")
        if row["trained_with"] == row["skill"]:
            raise InputError(f"GRAPH: {row['skill']} is trained with itself: leave out trained_with where it is alone")
        losses[row["trained_with"], row["skill"]].append(row["loss"])
    skills = list(dict.fromkeys(skill for pair in losses for skill in reversed(pair) if skill is not None))
    weights = np.eye(len(skills))
    for (other, skill), together in losses.items():
        if other is None:
            continue
        if (None, skill) not in losses:
            raise InputError(f"GRAPH: there is no loss of {skill} trained alone, to compare that with {other} with")
        if fmean(together) < fmean(losses[None, skill]):
            weights[skills.index(other), skills.index(skill)] = EDGE
    return Graph(skills, skills, weights, sum(other is not None for other, _ in losses))
