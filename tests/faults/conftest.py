"""Folders for the campaign of faults, and processes that begin at once."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.forking import Forks
from tests.pipelines.retrieval.meanings import MODEL


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory, where there is such a thing: thousands of files are made durable here, for no one."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def embedding_forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Those with a model, which takes long to load."""
    forks = Forks(tmp_path_factory.mktemp("embedding-forks"), MODEL)
    yield forks
    forks.close()
