"""The description of a hostile program and its expected verdict."""

from dataclasses import dataclass, field
from typing import Any

from synth.sandbox.verdict import Limits

LIMITS = Limits(seconds=8.0)
# For programs that only end by timeout.
SHORT = Limits(seconds=0.4)
# Prepended to programs that try many calls: returns the names of those that succeed.
TRIED = """
def tried(**calls):
    done = []
    for name, call in calls.items():
        try:
            call()
            done.append(name)
        except (OSError, ValueError):
            pass
    return done
"""


@dataclass(frozen=True)
class Case:
    """A program with a function f, and fnmatch patterns of which the summary of its verdict must match one."""

    name: str
    source: str
    expected: tuple[str, ...]
    inputs: list[tuple[list[Any], dict[str, Any]]] = field(default_factory=lambda: [([], {})])
    limits: Limits = LIMITS


def case(name: str, source: str, *expected: str, calls: int = 1, limits: Limits = LIMITS) -> Case:
    """`calls` inputs: a single call has no arguments, several calls have their index."""
    inputs: list[tuple[list[Any], dict[str, Any]]] = [([], {})] if calls == 1 else [([i], {}) for i in range(calls)]
    return Case(name, source, expected, inputs, limits)
