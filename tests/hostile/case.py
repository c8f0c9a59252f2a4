"""How a hostile program and what must become of it are written down."""

from dataclasses import dataclass, field
from typing import Any

from synth.sandbox.verdict import Limits

LIMITS = Limits(seconds=8.0)
# For programs that can only end at their deadline.
SHORT = Limits(seconds=0.4)
# Prepended to programs that try many things: the names of those that did not fail.
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
    """A program with a function f, and patterns (as of fnmatch) of which its verdict, told in a line, matches one."""

    name: str
    source: str
    expected: tuple[str, ...]
    inputs: list[tuple[list[Any], dict[str, Any]]] = field(default_factory=lambda: [([], {})])
    limits: Limits = LIMITS


def case(name: str, source: str, *expected: str, calls: int = 1, limits: Limits = LIMITS) -> Case:
    """`calls` inputs: no arguments for one, else the number of the call."""
    inputs: list[tuple[list[Any], dict[str, Any]]] = [([], {})] if calls == 1 else [([i], {}) for i in range(calls)]
    return Case(name, source, expected, inputs, limits)
