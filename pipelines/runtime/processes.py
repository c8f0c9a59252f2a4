"""CPU-bound work in several processes, with results in input order."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

from synth.schemas.errors import SynthError

__all__ = ["in_processes"]

Work = TypeVar("Work")
Result = TypeVar("Result")

# With fewer portions, starting processes takes longer than the work.
FEW = 3


def in_processes(function: Callable[[Work], Result], portions: Iterable[Work]) -> Iterator[tuple[Work, Result]]:
    """Each portion with its result. One process per core, two portions queued for each; a few portions run here."""
    work = iter(portions)
    first = list(islice(work, FEW))
    if len(first) < FEW:
        yield from ((portion, function(portion)) for portion in first)
        return
    workers = os.cpu_count() or 1
    # Not forked: threads of pyarrow may hold locks.
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        queued: deque[tuple[Work, Future[Result]]] = deque()
        try:
            for portion in chain(first, work):
                queued.append((portion, pool.submit(function, portion)))
                if len(queued) > 2 * workers:
                    yield _awaited(*queued.popleft())
            while queued:
                yield _awaited(*queued.popleft())
        except BrokenProcessPool:
            raise SynthError(
                "a worker process has died, perhaps out of memory: nothing was published; "
                "repeat the command, with --limit to find the row"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _awaited(portion: Work, future: Future[Result]) -> tuple[Work, Result]:
    return portion, future.result()


def _begin() -> None:
    # The parent handles Ctrl-C; if it is killed, this process must notice.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
