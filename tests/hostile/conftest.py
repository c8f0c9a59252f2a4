"""One warm jail of each kind for the whole suite."""

import ctypes
import os
from collections.abc import Iterator

import pytest

from tests.jails import JAILS, BlockingSandbox, why_not

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="session", params=JAILS)
def jail(request: pytest.FixtureRequest) -> Iterator[BlockingSandbox]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    # Orphans of programs become children of this process, which then finds them.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ["SECRET"] = "canary"
    with BlockingSandbox(request.param) as sandbox:
        yield sandbox
    del os.environ["SECRET"]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
