"""The command with an engine that loads its model for ever: `python loading.py FOLDER COMMAND...`.

Arrow's C++ calls the file that stands for the weights, and aborts the process if its thread is ended meanwhile. Two
processes serve the model, and write their ids into the folder: `before` begins before the command is interrupted, and
`after` once the process has ended all others and is about to end itself.
"""

import atexit
import io
import multiprocessing
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from synth.cli.main import main
from synth.pipelines.engines.vllm import VllmEngine

FOREVER = 600


class Weights(io.RawIOBase):
    """They are never read to the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exits, self._has_served = Event(), Event()

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1) -> bytes:
        atexit.register(self._at_exit)
        self._serve("before")
        self._exits.wait()
        self._serve("after")
        self._has_served.set()
        while True:
            time.sleep(0.01)

    def _serve(self, name: str) -> None:
        # Not forked, for this process has threads; a daemon, as vLLM's are.
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(FOREVER,), daemon=True)
        process.start()
        (self._folder / f"{name}.tmp").write_text(str(process.pid))
        (self._folder / f"{name}.tmp").rename(self._folder / name)

    def _at_exit(self) -> None:
        self._exits.set()
        self._has_served.wait()


def load(_engine: VllmEngine) -> Any:
    return pa.PythonFile(Weights(Path(folder)), mode="r").read(1)


if __name__ == "__main__":
    folder = sys.argv.pop(1)
    with patch.object(VllmEngine, "_load", load):
        main()
