"""Workers that are child processes, for jails without a daemon."""

import os
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from synth.sandbox.jails import NOBODY, last_line

__all__ = ["ProcessWorker", "start_process"]


@dataclass
class ProcessWorker:
    """A process, the host's end of its standard input and output, and the file of its standard error."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    stderr: IO[bytes]

    def unwrap(self, block: bytes) -> bytes:
        return block

    def kill(self) -> str:
        if self.process.returncode is None:
            # The whole group: at first, a child of bwrap does not yet die with its parent.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.socket.close()
        if self.stderr.closed:
            return ""
        with self.stderr:
            self.stderr.seek(0)
            return last_line(self.stderr.read(10_000))


def start_process(command: list[str], environment: dict[str, str]) -> ProcessWorker:
    """Start a worker, as nobody if root starts it, else as the user. Raises OSError."""
    ours, theirs = socket.socketpair()
    stderr = tempfile.TemporaryFile()  # noqa: SIM115  the worker closes it
    nobody = NOBODY if os.geteuid() == 0 else None
    groups: list[str | int] | None = None if nobody is None else []
    try:
        with theirs:
            # In a new session, so that Ctrl-C in the terminal reaches only the host.
            process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=stderr,
                env=environment,
                cwd="/",
                start_new_session=True,
                user=nobody,
                group=nobody,
                extra_groups=groups,
            )
    except BaseException:
        ours.close()
        stderr.close()
        raise
    return ProcessWorker(process, ours, stderr)
