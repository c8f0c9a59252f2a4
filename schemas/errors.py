"""The errors that end a command, and the exit code that each one means.

SynthError                1   the run failed
├── UsageError            2   an option or an argument cannot be used
│   └── InputError        2   the input data cannot be used
├── EngineFailed          1   the LLM engine cannot be started or has died
├── SandboxUnavailable    1   the requested kind of jail is not available on this machine
├── Partial               3   some rows failed, so nothing was published
│   └── BudgetSpent       3   the token budget is spent, so nothing was published
├── Stale                 4   the output was made with other settings
└── Interrupted         130   Ctrl-C

A message is one sentence: what is wrong, where, and the flag or command that fixes it.
"""

__all__ = [
    "BudgetSpent",
    "EngineFailed",
    "InputError",
    "Interrupted",
    "Partial",
    "SandboxUnavailable",
    "Stale",
    "SynthError",
    "UsageError",
]


class SynthError(Exception):
    """Ends a command with one sentence on stderr and `exit_code`; never a traceback."""

    exit_code = 1


class UsageError(SynthError):
    exit_code = 2


class InputError(UsageError):
    pass


class SandboxUnavailable(SynthError):
    pass


class EngineFailed(SynthError):
    pass


class Partial(SynthError):
    exit_code = 3


class BudgetSpent(Partial):
    pass


class Stale(SynthError):
    exit_code = 4


class Interrupted(SynthError):
    exit_code = 130

    def __init__(self, message: str = "interrupted: finished work is kept, repeat the command to continue") -> None:
        super().__init__(message)
