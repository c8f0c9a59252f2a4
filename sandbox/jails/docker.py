"""Docker: a warm container per worker, from an image made of the rootfs, with one attached stream.

Nothing is pulled, mounted or published. A container that loses its host exits because its standard input ends; those
that never started are found by their label and removed at the next start.
"""

import os
import platform
import socket
import ssl
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import LogConfig, Ulimit

from synth.sandbox.jails import NOBODY, Jail, last_line
from synth.schemas.errors import SandboxUnavailable

__all__ = ["DockerJail"]

_LABEL = "synth.sandbox"
_IMAGE = "synth-sandbox"
# In addition to a program's memory: the worker and the packages that it has imported.
_WORKER_MB = 256
# Mostly threads of a program; there are never more than two processes.
_TASKS = 80
# The timeout of API calls: importing an image to a slow disk takes long.
_API_SECONDS = 300
_HEADER = 8
_STDERR = 2


class DockerJail(Jail):
    kind = "docker"
    remedy = "start Docker, or use --jail bwrap"
    # It blocks the files that Docker mounts into every container: /proc, /sys and some in /etc.
    landlock = 1
    # Set when the daemon answers, to save negotiating it for every connection.
    _api_version = "auto"
    _image = ""
    _engine: Mapping[str, Any] = {}

    def prepare(self) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable(f"the sandbox runs a copy of this Python, which is for {sys.platform}")
        info = self.info()
        self._engine = {
            "engine": info["ServerVersion"],
            "runtime": info["DefaultRuntime"],
            "kernel": info["KernelVersion"],
        }
        rootfs = self._cached_rootfs()
        try:
            with self._daemon() as daemon:
                self._image = _import_image(daemon, rootfs)
                _reap(daemon)
        except (DockerException, OSError) as error:
            raise SandboxUnavailable(f"Docker cannot import the sandbox's image: {_first_line(error)}") from error

    def info(self) -> dict[str, Any]:
        """The daemon's description of itself. Raises `SandboxUnavailable` if none answers or it cannot limit memory."""
        try:
            with self._daemon() as daemon:
                self._api_version = daemon.api_version
                info: dict[str, Any] = daemon.info()
        except (DockerException, OSError) as error:
            raise SandboxUnavailable(f"no Docker daemon answers ({_first_line(error)}): {self.remedy}") from error
        if info.get("CgroupDriver") == "none":
            raise SandboxUnavailable(f"this Docker daemon cannot limit memory (it has no cgroups): {self.remedy}")
        return info

    def start(self, profile: int, memory_mb: int) -> "DockerWorker":
        try:
            with self._daemon() as daemon:
                container = daemon.create_container(
                    self._image,
                    self._command(),
                    environment=self._environment(profile),
                    user=f"{NOBODY}:{NOBODY}",
                    hostname="jail",
                    working_dir="/",
                    stdin_open=True,
                    labels={_LABEL: _host_process(os.getpid())},
                    host_config=daemon.create_host_config(**_isolation((memory_mb + _WORKER_MB) << 20)),
                )["Id"]
                try:
                    # Before the start, so that no output is missed.
                    stream = daemon.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
                    daemon.start(container)
                    return DockerWorker(self, container, stream)
                except BaseException:
                    self.remove(container)
                    raise
        except DockerException as error:
            raise SandboxUnavailable(f"Docker cannot start a container: {_first_line(error)}") from error

    def remove(self, container: str) -> None:
        """Kill a container, if it still runs, and remove it."""
        with self._daemon() as daemon:
            _remove(daemon, container)

    def identity(self) -> dict[str, Any]:
        return dict(self._engine)

    def _daemon(self) -> AbstractContextManager[Any]:
        """A short-lived connection: one that idles for days may break."""
        return closing(docker.from_env(version=self._api_version, timeout=_API_SECONDS).api)


def _isolation(memory: int) -> dict[str, Any]:
    return {
        "network_mode": "none",
        "ipc_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": _TASKS,
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        # By default Docker stores all output on disk.
        "log_config": LogConfig(type="none"),
        "auto_remove": True,
    }


def _import_image(daemon: Any, rootfs: Path) -> str:
    """The image of this rootfs, named by its content and imported once."""
    tag = rootfs.name.removeprefix("rootfs-")
    image = f"{_IMAGE}:{tag}"
    with suppress(ImageNotFound):
        daemon.inspect_image(image)
        return image
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(rootfs, ".")
        file.flush()
        daemon.import_image_from_file(file.name, repository=_IMAGE, tag=tag)
    daemon.inspect_image(image)
    return image


def _reap(daemon: Any) -> None:
    """Remove the containers of processes of this machine that have ended."""
    for container in daemon.containers(all=True, filters={"label": _LABEL}):
        host = container["Labels"][_LABEL]
        node, number, _ = host.split(" ")
        if node == platform.node() and host != _host_process(int(number)):
            _remove(daemon, container["Id"])


def _remove(daemon: Any, container: str) -> None:
    # It may be ending already.
    with suppress(APIError):
        daemon.remove_container(container, force=True)


class DockerWorker:
    """A container and its attached stream, which carries standard output and standard error in packets."""

    def __init__(self, jail: DockerJail, container: str, stream: Any) -> None:
        self._jail = jail
        self._container = container
        self._packets = bytearray()
        self._stderr = bytearray()
        inner = getattr(stream, "_sock", None)
        if not isinstance(inner, socket.socket) or isinstance(inner, ssl.SSLSocket):
            raise SandboxUnavailable(f"the sandbox supports Docker only through a plain socket: {jail.remedy}")
        # Keeps the connection open when the SDK's response object is closed.
        self.socket = inner.dup()
        stream._response.close()

    def unwrap(self, block: bytes) -> bytes:
        self._packets += block
        output = bytearray()
        start = 0
        while len(self._packets) >= start + _HEADER:
            end = start + _HEADER + int.from_bytes(self._packets[start + 4 : start + _HEADER], "big")
            if len(self._packets) < end:
                break
            packet = memoryview(self._packets)[start + _HEADER : end]
            if self._packets[start] == _STDERR:
                self._stderr += packet[: 10_000 - len(self._stderr)]
            else:
                output += packet
            packet.release()
            start = end
        del self._packets[:start]
        return bytes(output)

    def kill(self) -> str:
        self._jail.remove(self._container)
        self.socket.close()
        return last_line(self._stderr)


def _host_process(number: int) -> str:
    """Identifies a process of this machine by its start time, too, because process ids are reused."""
    try:
        started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "gone"
    return f"{platform.node()} {number} {started}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
