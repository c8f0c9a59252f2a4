"""The command line as the tests type it: in this process, which is quick, or as a process of its own."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

from typer.testing import CliRunner, Result

from synth.cli.main import app, main

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


def type_synth(*arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a user of the command sees in `folder`, its sentence on an error included, without a process of its own.

    Warnings are left to pytest; who tests them, a device or another interpreter's path needs `run_synth`.
    """
    words, code = ["synth", *map(str, arguments)], 0
    with CliRunner().isolation(env=environment) as (out, err, _), chdir(folder), patch.object(sys, "argv", words):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        return subprocess.CompletedProcess(words, code, out.getvalue().decode(), err.getvalue().decode())


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
