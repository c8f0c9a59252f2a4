"""What thousands of row coroutines want of the interpreter and of the event loop that they share."""

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quick_rows", "to_its_end"]


async def to_its_end(task: "asyncio.Task[None]") -> None:
    """Wait for a task, however often this is cancelled meanwhile; that takes effect afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled


@contextmanager
def quick_rows() -> Iterator[None]:
    """Spare rows what only other programs need of the interpreter.

    Rows make many objects and hardly a cycle, so the cycle collector looks for them rarely, and not at all among what
    was there before, such as the modules of torch and vLLM. Stages are iterated to their end, so that the event loop
    need not know of each in order to end it.
    """
    thresholds, hooks = gc.get_threshold(), sys.get_asyncgen_hooks()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.set_asyncgen_hooks(None, None)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*hooks)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
