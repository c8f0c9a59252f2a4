"""Interpreter and event-loop settings for thousands of row coroutines."""

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["tuned_for_rows", "uninterrupted"]


async def uninterrupted(task: "asyncio.Task[None]") -> None:
    """Wait for a task to end; a cancellation meanwhile is delayed until then."""
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
def tuned_for_rows() -> Iterator[None]:
    """Run the garbage collector rarely, and do not track asynchronous generators.

    Rows create many objects and few cycles; existing objects (the modules of torch and vLLM) are not scanned. Stages
    are always iterated to the end, so the event loop need not close their generators.
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
