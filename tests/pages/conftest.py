"""The servers that commands ask."""

from collections.abc import Iterator

import pytest

from tests.counting_server import serving
from tests.pages.recorded import RecordedServer


@pytest.fixture(scope="module")
def server() -> Iterator[RecordedServer]:
    with serving(RecordedServer()) as one:
        yield one


@pytest.fixture(scope="module")
def other_server() -> Iterator[RecordedServer]:
    with serving(RecordedServer()) as other:
        yield other
