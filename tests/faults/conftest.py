"""Folders for the campaign of faults."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory, where there is such a thing: thousands of files are made durable here, for no one."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
