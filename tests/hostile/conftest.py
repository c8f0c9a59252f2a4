"""One warm jail of each kind for the whole suite."""

import ctypes
import os
from collections.abc import Iterator

import pytest

from tests.jails import JAILS, LentSandbox, why_not

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="session", params=JAILS)
def jail(request: pytest.FixtureRequest) -> Iterator[LentSandbox]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    # What a program could leave behind shall become a child of this process, and so be found.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ["SECRET"] = "canary"
    lent = LentSandbox(request.param)
    yield lent
    lent.take_back()
    del os.environ["SECRET"]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
