"""The thread in which a model of this process is loaded and asked."""

import threading
from collections.abc import Callable

__all__ = ["ModelThread"]


class ModelThread(threading.Thread):
    """While it loads a model it cannot be interrupted, and runs native code that does not survive the interpreter.

    A process that ends meanwhile has to end under it: see `synth.cli.main`.
    """

    def __init__(self, drive: Callable[[], None], name: str) -> None:
        super().__init__(target=drive, name=name, daemon=True)

    @staticmethod
    def are_running() -> bool:
        return any(isinstance(thread, ModelThread) for thread in threading.enumerate())
