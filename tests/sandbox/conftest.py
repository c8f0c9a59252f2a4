"""Each kind of jail that this machine has, and one sandbox of it for each module."""

from collections.abc import Iterator

import pytest

from tests.jails import JAILS, LentSandbox, why_not


@pytest.fixture(scope="module", params=JAILS)
def kind(request: pytest.FixtureRequest) -> str:
    if reason := why_not(request.param):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture(scope="module")
def lent(kind: str) -> Iterator[LentSandbox]:
    sandbox = LentSandbox(kind)
    yield sandbox
    sandbox.take_back()
