"""The kinds of jails that this machine supports, and a sandbox of each kind per module."""

from collections.abc import Iterator

import pytest

from tests.jails import JAILS, BlockingSandbox, why_not


@pytest.fixture(scope="module", params=JAILS)
def kind(request: pytest.FixtureRequest) -> str:
    if reason := why_not(request.param):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture(scope="module")
def sandbox(kind: str) -> Iterator[BlockingSandbox]:
    with BlockingSandbox(kind) as sandbox:
        yield sandbox
