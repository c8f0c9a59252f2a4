"""A run that is killed at a step of its own choice; a module that loads what such a run needs, and nothing else."""

import email.parser  # noqa: F401
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy.ma  # noqa: F401

# What a run loads only when it is under way: here it is loaded before the process forks, and so once.
from synth.pipelines.engines import probe  # noqa: F401
from synth.pipelines.runtime import bad_rows, rows, shared, shutdown, tables  # noqa: F401
from synth.pipelines.runtime.options import Options
from synth.schemas.stores.places import output_at
from synth.schemas.stores.store import Store
from tests.faults.campaign import TwoCalls, run_two_calls

# Its processes are forks of one that has loaded this module, and what only a run with an object store needs.
forking = multiprocessing.get_context("forkserver")
forking.set_forkserver_preload(["__main__", "obstore", __name__])

# Steps between which a file system can be found after a crash. An open file is a step where it may be written.
STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}


def dying(step: int, folder: Path, source: Path, options: Options, mended: bool) -> None:
    """Run, and be killed before the step of this number that is taken in `folder`."""
    TwoCalls.mended = mended
    steps = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        if event == "open":
            path, _, flags = arguments
            is_step = bool(flags & (os.O_WRONLY | os.O_RDWR))
        else:
            path, is_step = arguments[0] if arguments else None, event in STEPS
        if is_step and isinstance(path, str | Path) and str(path).startswith(str(folder)):
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
            steps += 1

    sys.addaudithook(count)
    run_two_calls(source, folder / "out", folder.parent / f"{folder.name}.log", options)


def dying_at_a_store(
    request: int, url: str, source: Path, log: Path, options: Options, environment: Mapping[str, str]
) -> None:
    """Run, and be killed before the request of this number that would change the store."""
    os.environ.update(environment)
    lock, requests = Lock(), 0

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal requests
            # Other threads wait, as a request that was begun might arrive.
            with lock:
                if requests == request:
                    os.kill(os.getpid(), signal.SIGKILL)
                requests += 1
                return method(*arguments, **named)

        return call

    for name in ("put", "delete"):
        setattr(Store, name, counted(getattr(Store, name)))
    run_two_calls(source, output_at(url), log, options)
