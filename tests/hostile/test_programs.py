"""Every hostile program gets its expected verdict and affects neither the next program nor the host."""

import os
import time
from fnmatch import fnmatchcase

import pytest

from tests.hostile import answers, channel, outside, processes, resources
from tests.hostile.case import Case
from tests.jails import BlockingSandbox, living_descendants, summary_of

CASES = [*processes.CASES, *resources.CASES, *answers.CASES, *outside.CASES, *channel.CASES]


def of_the_host() -> tuple[int, int]:
    """The numbers of this process's descriptors and descendants."""
    return len(os.listdir("/proc/self/fd")), len(living_descendants())  # noqa: PTH208


def left_behind(before: tuple[int, int]) -> bool:
    """Whether the host has more of either than before. Fewer are fine: the garbage collector may have closed some."""
    return any(now > then for now, then in zip(of_the_host(), before, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_program(jail: BlockingSandbox, case: Case) -> None:
    assert summary_of(jail.run("def f(n): return n * 2", ([21], {}))) == "42"
    before = of_the_host()
    verdict = jail.run(case.source, *case.inputs, limits=case.limits)
    summary = summary_of(verdict)
    assert any(summary == pattern or fnmatchcase(summary, pattern) for pattern in case.expected), (
        summary[:500],
        verdict.detail,
    )
    canary = jail.run("def f(n): return n * 2", ([21], {}))
    assert summary_of(canary) == "42"
    # A replaced jail takes a moment to disappear.
    until = time.monotonic() + 2
    while left_behind(before) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left_behind(before), living_descendants()
