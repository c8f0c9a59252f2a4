"""docs/scaling.md: its commands run, all of them write the same bytes, and what it says of a dead driver is so."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cluster.simulated import Simulated, actors
from tests.cluster.test_same_bytes import TEXTS, published, run
from tests.command import SYNTH, run_synth
from tests.counting_server import serving
from tests.faults.campaign import asked
from tests.pages.page import ROOT, Page
from tests.pages.recorded import RecordedServer

PAGE = Page("docs/scaling.md")
# Processes and ports that nobody else has: `ray stop` ends all of a user's, and a Ray that is started by itself takes
# ports that the nodes of a simulated cluster need.
APART = ("unshare", "--pid", "--net", "--fork", "--mount-proc")
can_run_apart = shutil.which("unshare") and not subprocess.run([*APART, "true"], capture_output=True).returncode
ALONE = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))
"""

LOCAL = "synth reject sample questions.jsonl local/ --engine echo -n 16 --on ray:local"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "examples" / "questions.jsonl", tmp_path)
    return tmp_path


def test_all_commands_of_the_page_write_the_same_bytes(
    folder: Path, cluster: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    outputs = []
    with serving(RecordedServer()) as one, serving(RecordedServer()) as other:
        for line in [line for line in PAGE.commands if line.startswith("synth ")]:
            for shown, used in (
                (r"--model \S+", f"--base-url {one.url}"),
                (r"http://node-a:8000/v1", one.url),
                (r"http://node-b:8000/v1", other.url),
                # A server is not split over the GPUs of this machine, which has none.
                (r"--engine-arg tensor_parallel_size=4", ""),
                (r"ray:(auto|local)", f"ray:{cluster.address}"),
            ):
                line = re.sub(shown, used, line)
            words = shlex.split(line)[1:]
            ended = run_synth(*words, folder=folder)
            assert ended.returncode == 0, f"{line}\n{ended.stderr}"
            outputs.append(published(folder / words[3]))
        assert other.asked
    assert len(outputs) == 6
    assert all(output == outputs[0] for output in outputs)


@pytest.mark.skipif(not can_run_apart, reason="needs the right to make namespaces")
def test_the_job_of_the_page_starts_ray_and_runs_the_command_as_ray_local_does(folder: Path) -> None:
    (folder / "job.sh").write_text(re.sub(r"--model \S+", "--engine echo", PAGE.files["job.sh"]))
    for command, does in (("srun", 'exec "$@"'), ("scontrol", "echo 127.0.0.1")):
        (folder / command).write_text(f"#!/bin/bash\n{does}\n")
        (folder / command).chmod(0o755)
    (folder / "alone.py").write_text(ALONE)
    # Sockets have short names.
    with TemporaryDirectory(dir="/tmp", prefix="ray-") as temporary:
        path = f"{folder}:{Path(SYNTH).parent}:{os.environ['PATH']}"
        slurm = {"SLURM_JOB_NODELIST": "node", "SLURM_NNODES": "1"}
        done = subprocess.run(
            [*APART, "bash", "-c", f"{sys.executable} alone.py && bash job.sh && {LOCAL}; exit $?"],
            cwd=folder,
            env={**os.environ, **slurm, "PATH": path, "RAY_TMPDIR": temporary},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert (folder / "slurm" / "state.json").is_file(), done.stdout + done.stderr
    assert published(folder / "local") == published(folder / "slurm")


def test_a_command_that_is_killed_takes_its_workers_along_and_goes_on_elsewhere(
    tmp_path: Path, cluster: Simulated
) -> None:
    run(tmp_path, "here", TEXTS)
    command = ("tests.cluster.there", tmp_path, "there", cluster.address, 0.5, 16, 4)
    log = tmp_path / "there.log"
    with subprocess.Popen([sys.executable, "-m", *map(str, command)]) as driver:
        try:
            wait_until(lambda: len(asked(log)) > 100)
        finally:
            driver.kill()
    wait_until(lambda: not actors())
    before = len(asked(log))
    run(tmp_path, "there", TEXTS)
    assert published(tmp_path / "there") == published(tmp_path / "here")
    # What two workers had in flight, and half a second of answers.
    repeated = len(asked(log)) - len(set(asked(log)))
    assert len(asked(log)) > before
    assert repeated <= 2 * 3 * 16


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
