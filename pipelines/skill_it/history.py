"""The losses of the skills in the course of a training."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.schemas.errors import InputError

__all__ = ["latest"]


def latest(
    table: pa.Table, evaluated: Sequence[str], counted: Sequence[str], evaluations: int
) -> tuple[list[int], NDArray[np.float64]]:
    """The last steps at which the model was evaluated, and its losses at each (rows) on the skills `counted` (columns).

    Raises `InputError` for a loss on a skill that is not `evaluated`, one that is no number or given twice, and for one
    that is missing.
    """
    losses: dict[tuple[int, str], float] = {}
    for row in table.to_pylist():
        step, skill, loss = row["step"], row["skill"], row["loss"]
        if skill not in evaluated:
            raise InputError(
                f"--losses: {skill} is none of the skills that the graph evaluates, {', '.join(evaluated)}"
            )
        if (step, skill) in losses:
            raise InputError(f"--losses: there are several losses of {skill} at step {step}")
        if not isfinite(loss):
            raise InputError(f"--losses: the loss of {skill} at step {step} is {loss}")
        losses[step, skill] = loss
    steps = sorted({step for step, _ in losses})[-evaluations:]
    for step in steps:
        if missing := [skill for skill in counted if (step, skill) not in losses]:
            raise InputError(f"--losses: there is no loss of {missing[0]} at step {step}")
    return steps, np.array([[losses[step, skill] for skill in counted] for step in steps])
