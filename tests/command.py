"""The command line as the tests type it: in this process, which is quick, or as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from synth.cli.main import app

SYNTH = str(Path(sys.executable).with_name("synth"))


def invoke(*arguments: object) -> Result:
    """What the command printed, its exit code, and the error that it ended with."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def synth(*arguments: object) -> Result:
    """What a command printed that must succeed; the error of one that does not is raised."""
    result = invoke(*arguments)
    if result.exception:
        raise result.exception
    return result


def run_synth(
    *arguments: object, folder: Path | None = None, given: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command as a process in `folder`, with `given` on standard input and these environment variables."""
    return subprocess.run(
        [SYNTH, *map(str, arguments)],
        cwd=folder,
        input=given,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
