"""Workers that are processes of this machine, for the jails that need no daemon."""

import os
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from synth.sandbox.jails import NOBODY

__all__ = ["ProcessWorker", "start_process"]


@dataclass
class ProcessWorker:
    """A process, the host's end of its standard input and output, and a file that holds its standard error."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    said: IO[bytes]

    def unwrap(self, block: bytes) -> bytes:
        return block

    def kill(self) -> str:
        if self.process.returncode is None:
            # The whole group: in its first moments, a child of bwrap is not yet tied to the life of its parent.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.socket.close()
        if self.said.closed:
            return ""
        with self.said:
            self.said.seek(0)
            lines = self.said.read(10_000).decode(errors="replace").split("\n")
        # Of a traceback, the last line tells what happened.
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def start_process(arguments: list[str], shown: dict[str, str]) -> ProcessWorker:
    """Start a worker with these environment variables, as nobody where root starts it. Raises OSError."""
    ours, theirs = socket.socketpair()
    said = tempfile.TemporaryFile()  # noqa: SIM115  the worker closes it
    # Only root may change who it is. Elsewhere the user's own id has to do.
    nobody = NOBODY if os.geteuid() == 0 else None
    groups: list[str | int] | None = None if nobody is None else []
    try:
        with theirs:
            # A session of its own, so that Ctrl-C in the terminal is left to the host.
            process = subprocess.Popen(
                arguments,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=said,
                env=shown,
                cwd="/",
                start_new_session=True,
                user=nobody,
                group=nobody,
                extra_groups=groups,
            )
    except BaseException:
        ours.close()
        said.close()
        raise
    return ProcessWorker(process, ours, said)
