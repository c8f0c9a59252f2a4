"""Every hostile program comes to what it must, and the next program and the host notice nothing of it."""

import os
import time
from fnmatch import fnmatchcase

import pytest

from tests.hostile import answers, channel, outside, processes, resources
from tests.hostile.case import Case
from tests.jails import LentSandbox, living_descendants, told

CASES = [*processes.CASES, *resources.CASES, *answers.CASES, *outside.CASES, *channel.CASES]


def of_the_host() -> tuple[int, int]:
    """How many descriptors this process has, and how many processes live below it."""
    return len(os.listdir("/proc/self/fd")), len(living_descendants())  # noqa: PTH208


def left_behind(before: tuple[int, int]) -> bool:
    """Whether the host has more of anything than before; what the collector still had to close may be gone."""
    return any(now > then for now, then in zip(of_the_host(), before, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_program(jail: LentSandbox, case: Case) -> None:
    assert told(jail.run("def f(n): return n * 2", ([21], {}))) == "42"
    before = of_the_host()
    verdict = jail.run(case.source, *case.inputs, limits=case.limits)
    said = told(verdict)
    assert any(said == pattern or fnmatchcase(said, pattern) for pattern in case.expected), (said[:500], verdict.detail)
    canary = jail.run("def f(n): return n * 2", ([21], {}))
    assert told(canary) == "42"
    # A jail that is replaced takes a moment to be gone.
    until = time.monotonic() + 2
    while left_behind(before) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left_behind(before), living_descendants()
