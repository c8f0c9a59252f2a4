"""A Docker engine for tests: the one that answers, or else one of their own, which leaves the network alone."""

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import docker
from docker.errors import DockerException

# Neither a bridge nor a rule nor a setting of the kernel: containers of the sandbox have no network at all.
_NO_NETWORK = ["--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
_STARTING_SECONDS = 30.0


_API = "1.41"
# Whether there is one.
_found = False


@cache
def why_not() -> str:
    """Why there is no Docker engine here; nothing if one answers, or has now been started."""
    if _answers():
        return ""
    program = shutil.which("dockerd")
    if program is None or os.geteuid() != 0:
        return "no Docker daemon answers, and none can be started here (it takes root and dockerd)"
    place = Path(tempfile.mkdtemp(prefix="dockerd-"))
    os.environ["DOCKER_HOST"] = f"unix://{place}/socket"
    folders = ["--data-root", str(place / "data"), "--exec-root", str(place / "exec"), "--pidfile", str(place / "pid")]
    with (place / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [program, "--host", os.environ["DOCKER_HOST"], *folders, *_NO_NETWORK],
            stdout=log,
            stderr=log,
            start_new_session=True,
            # It shall not outlive tests that are killed.
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0),
        )
    atexit.register(_stop, daemon, place)
    until = time.monotonic() + _STARTING_SECONDS
    while daemon.poll() is None and time.monotonic() < until:
        if _answers():
            return ""
        time.sleep(0.1)
    last = (place / "log").read_text().strip().rpartition("\n")[2]
    del os.environ["DOCKER_HOST"]
    return f"dockerd does not start here: {last}"


def workers() -> list[str]:
    """The numbers of the first processes of all containers of sandboxes."""
    if not _found:
        return []
    found = []
    with closing(docker.from_env(version=_API)) as client:
        for container in client.api.containers(filters={"label": "synth.sandbox"}):
            # It may go away meanwhile.
            with suppress(DockerException):
                found.append(str(client.api.inspect_container(container["Id"])["State"]["Pid"]))
    return found


def _answers() -> bool:
    global _found
    with closing(docker.from_env(version=_API)) as client, suppress(DockerException, OSError):
        _found = client.ping()
    return _found


def _stop(daemon: "subprocess.Popen[bytes]", place: Path) -> None:
    daemon.terminate()
    daemon.wait()
    shutil.rmtree(place, ignore_errors=True)
