"""The result of running a program: one verdict for the program, one outcome for each input that it reached.

ok             it answered every input with a value, an exception or a result that has no canonical form
load_error     it could not be compiled, raised while loading, or lacks the function
timeout        it exceeded its wall-clock or CPU time; outcomes of finished inputs are kept
output_limit   its output exceeded the limit
killed         it was killed from outside the sandbox, by the out-of-memory killer for example
crashed        a signal ended it: a segmentation fault, an abort or a forbidden system call
no_exit        it closed its result socket but did not exit
missing        it exited, or lost its socket, before it had answered every input
malformed      its output was not a sequence of answers
sandbox_error  the sandbox failed, not the program; the pool tries again in a new jail
quarantined    the sandbox failed on it twice
refused        it was not run: the program or its inputs are too large, or an input has no canonical form
"""

from typing import Any, Literal

from msgspec import Struct

__all__ = ["Limits", "Outcome", "Status", "Verdict"]

Status = Literal[
    "ok",
    "load_error",
    "timeout",
    "output_limit",
    "killed",
    "crashed",
    "no_exit",
    "missing",
    "malformed",
    "sandbox_error",
    "quarantined",
    "refused",
]


class Limits(Struct, frozen=True):
    """A program's limits: wall-clock seconds for all inputs, address space, and bytes of input and output."""

    seconds: float = 5.0
    memory_mb: int = 512
    output_bytes: int = 1_000_000
    source_bytes: int = 65_536
    input_bytes: int = 262_144


class Outcome(Struct, frozen=True):
    """The outcome of one input: a canonical value, the type of an exception, or why the result cannot be encoded."""

    kind: Literal["value", "exception", "unencodable"]
    data: Any


class Verdict(Struct, frozen=True):
    """`outcomes` has one entry per input, None for those that the program did not reach."""

    status: Status
    outcomes: tuple[Outcome | None, ...] = ()
    detail: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss_kb: int = 0
