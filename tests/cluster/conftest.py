from collections.abc import Iterator

import pytest

from tests.cluster.simulated import Simulated, simulated


@pytest.fixture(scope="session")
def cluster() -> Iterator[Simulated]:
    """Two nodes with one processor each."""
    with simulated(2) as cluster:
        yield cluster
