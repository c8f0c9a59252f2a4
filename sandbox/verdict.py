"""What running a program gave: one verdict for the program, one outcome for each input that it came to.

ok             it answered every input, each with a value, an exception or something that no canonical value covers
load_error     it could not be compiled, failed while it was imported, or has no such function
timeout        its deadline or its processor time was over; outcomes of inputs that it had finished are kept
output_limit   it said more than it may
killed         something outside the sandbox killed it: the kernel, since the machine ran out of memory, or anybody
crashed        a signal ended it: a segmentation fault, an abort, or a call that nothing honest makes
no_exit        it closed its result pipe but did not exit
missing        it ended, or could no longer write, without having answered every input
malformed      it wrote something else than answers
sandbox_error  the sandbox failed, not the program; the pool tries again in a new jail
quarantined    the sandbox failed under it twice
refused        it was never run: the program or its inputs are too large, or an input is no plain value
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
    """What one program may use: wall-clock seconds for all its inputs, address space, and bytes in and out."""

    seconds: float = 5.0
    memory_mb: int = 512
    output_bytes: int = 1_000_000
    source_bytes: int = 65_536
    input_bytes: int = 262_144


class Outcome(Struct, frozen=True):
    """What one input gave: a canonical value, the name of an exception's type, or what could not be encoded."""

    kind: Literal["value", "exception", "unencodable"]
    data: Any


class Verdict(Struct, frozen=True):
    """`outcomes` has one place for each input, None where the program did not come to it."""

    status: Status
    outcomes: tuple[Outcome | None, ...] = ()
    detail: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss_kb: int = 0
