"""Docker: a warm container for each worker, spoken to through one attached stream, in an image made of the rootfs.

Nothing is pulled, mounted or published. A container that loses its host ends by itself, since its standard input ends;
those that were left before they could start are known by their label and cleared away at the next start.
"""

import os
import platform
import socket
import ssl
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import LogConfig, Ulimit

from synth.sandbox.jails import NOBODY, command, environment
from synth.sandbox.rootfs import cached_rootfs
from synth.schemas.errors import SandboxUnavailable

__all__ = ["DockerJail"]

_LABEL = "synth.sandbox"
_IMAGE = "synth-sandbox"
# Beyond a program's own memory: the worker, with the packages it has imported.
_WORKER_MB = 256
# Threads of a program; there are never more than two processes.
_TASKS = 80
# Of a call to the daemon, which takes its time over an image on a slow disk.
_SECONDS = 300
_HEADER = 8
_STDERR = 2


class DockerJail:
    kind = "docker"
    remedy = "start Docker, or use --jail bwrap"
    # It hides what Docker mounts into every container: /proc, /sys and files in /etc.
    landlock = 1
    root = Path("/")
    # The kernel would count over all containers; the container's own limit on tasks stands instead.
    processes: int | None = None

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._packages = packages
        # The version that the daemon and the SDK have agreed upon.
        self._version = "auto"
        self._image = ""
        self._clock = False
        self._engine: dict[str, Any] = {}

    def prepare(self) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable(f"the sandbox copies the Python it runs under, which is one for {sys.platform}")
        told = self.info()
        self._engine = {
            "engine": told["ServerVersion"],
            "runtime": told["DefaultRuntime"],
            "kernel": told["KernelVersion"],
        }
        rootfs = cached_rootfs(self._packages)
        self._clock = (rootfs / "lib/libfaketime.so.1").exists()
        try:
            with self._daemon() as daemon:
                self._image = _imported(daemon, rootfs)
                _reap(daemon)
        except (DockerException, OSError) as error:
            raise SandboxUnavailable(f"Docker refuses the sandbox's image: {_first_line(error)}") from error

    def info(self) -> dict[str, Any]:
        """What the daemon says of itself. Raises `SandboxUnavailable` where none answers that can hold a jail."""
        try:
            with self._daemon() as daemon:
                self._version = daemon.api_version
                told: dict[str, Any] = daemon.info()
        except (DockerException, OSError) as error:
            raise SandboxUnavailable(f"no Docker daemon answers ({_first_line(error)}): {self.remedy}") from error
        if told.get("CgroupDriver") == "none":
            raise SandboxUnavailable(f"this Docker daemon cannot limit memory (it has no cgroups): {self.remedy}")
        return told

    def start(self, profile: int, memory_mb: int) -> "DockerWorker":
        try:
            with self._daemon() as daemon:
                container = daemon.create_container(
                    self._image,
                    command(self.root),
                    environment=environment(self.root, profile, shift_clock=self._clock),
                    user=f"{NOBODY}:{NOBODY}",
                    hostname="jail",
                    working_dir="/",
                    stdin_open=True,
                    labels={_LABEL: _host(os.getpid())},
                    host_config=daemon.create_host_config(**_walls((memory_mb + _WORKER_MB) << 20)),
                )["Id"]
                try:
                    # Before it starts, so that nothing it says is missed.
                    stream = daemon.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
                    daemon.start(container)
                    return DockerWorker(self, container, stream)
                except BaseException:
                    self.remove(container)
                    raise
        except DockerException as error:
            raise SandboxUnavailable(f"Docker starts no container: {_first_line(error)}") from error

    def remove(self, container: str) -> None:
        """End a container, if it has not ended by itself. Nothing of it stays."""
        with self._daemon() as daemon:
            _remove(daemon, container)

    def identity(self) -> dict[str, Any]:
        return self._engine

    def _daemon(self) -> AbstractContextManager[Any]:
        """A connection for a few calls: one that is kept for days may be dead when it is needed."""
        return closing(docker.from_env(version=self._version, timeout=_SECONDS).api)


def _walls(memory: int) -> dict[str, Any]:
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
        # Else all that a worker says is kept on disk.
        "log_config": LogConfig(type="none"),
        "auto_remove": True,
    }


def _imported(daemon: Any, rootfs: Path) -> str:
    """The image that holds this rootfs, named by its content: all jails run the same Python."""
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
    """Remove the containers of processes of this machine that are gone."""
    for container in daemon.containers(all=True, filters={"label": _LABEL}):
        host = container["Labels"][_LABEL]
        node, number, _ = host.split(" ")
        if node == platform.node() and host != _host(int(number)):
            _remove(daemon, container["Id"])


def _remove(daemon: Any, container: str) -> None:
    # It may be going by itself already.
    with suppress(APIError):
        daemon.remove_container(container, force=True)


class DockerWorker:
    """A container and the stream attached to it, which carries its output and its errors in packets."""

    def __init__(self, jail: DockerJail, container: str, stream: Any) -> None:
        self._jail = jail
        self._container = container
        self._packets = bytearray()
        self._said = bytearray()
        inner = getattr(stream, "_sock", None)
        if not isinstance(inner, socket.socket) or isinstance(inner, ssl.SSLSocket):
            raise SandboxUnavailable(f"the sandbox speaks to Docker through a plain socket only: {jail.remedy}")
        # The SDK wraps it as a response to read from; the connection outlives that.
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
                self._said += packet[: 10_000 - len(self._said)]
            else:
                output += packet
            packet.release()
            start = end
        del self._packets[:start]
        return bytes(output)

    def kill(self) -> str:
        self._jail.remove(self._container)
        self.socket.close()
        lines = self._said.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _host(number: int) -> str:
    """A process of this machine, so that another one with its number is not taken for it."""
    try:
        started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "gone"
    return f"{platform.node()} {number} {started}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
