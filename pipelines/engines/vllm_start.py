"""How vLLM starts: its settings, and what it is doing, which it tells only its log."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.schemas.quiet import quiet_libraries

__all__ = ["alone_on_this_machine", "set_environment", "telling_phases"]

# What vLLM does after a message of its log, by a part of that message. Other messages change nothing.
_PHASES = {
    "Starting to load model": "loading weights",
    "Time spent downloading weights": "loading weights",
    "Loading weights took": "preparing the weights",
    "Starting torch.compile": "compiling",
    "Warming up model for the compilation": "compiling",
    "Compile and warming up": "compiling",
    "KV cache size": "warming up",
    "Profiling CUDA graph memory": "capturing CUDA graphs",
}


def set_environment() -> None:
    """Settings that vLLM reads from the environment on import; those of the user take precedence."""
    defaults = {
        # In a single process, Ctrl-C reaches no other engine core, and kill -9 leaves no orphan.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    quiet_libraries()


@contextmanager
def alone_on_this_machine() -> Iterator[None]:
    """Within the block no other process of this user starts an engine here.

    Engines that start at the same time take each other's ports, and compile the same kernels into one cache.
    """
    path = Path(tempfile.gettempdir()) / f"synth-vllm-start-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def telling_phases(tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block, vLLM's log is read at the level INFO, and printed at the level that is set."""
    logger, listener = logging.getLogger("vllm"), _Listener(tell)
    level, printing = logger.level, [(handler, handler.level) for handler in logger.handlers]
    for handler, own in printing:
        handler.setLevel(max(own, level))
    logger.setLevel(min(level, logging.INFO))
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        for handler, own in printing:
            handler.setLevel(own)


class _Listener(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        for part, phase in _PHASES.items():
            if part in str(record.msg):
                self._tell(phase)
