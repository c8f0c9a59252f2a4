"""The host's side of one jailed worker: runs programs and returns verdicts."""

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from signal import Signals

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from synth.sandbox.filter import PID_PLACEHOLDER, Filters
from synth.sandbox.jails import Jail, Worker, first_frame, frame
from synth.sandbox.payload import Answers, read_payload
from synth.sandbox.program import Program
from synth.sandbox.stream import Broken, Stream
from synth.sandbox.verdict import Status, Verdict
from synth.sandbox.worker import CANNOT_ANSWER

__all__ = ["RunningJail"]

# For a worker that has to start Python and import modules on a busy machine.
_STARTING_SECONDS = 60.0
# After a program's time limit, until its worker counts as broken. Sandboxing the program may take five of them.
_GRACE_SECONDS = 8.0
_HEADER_BYTES = 4096
# Counting the kills costs a tenth of what a short program costs the host.
_SECONDS_PER_COUNT = 1.0
_OUT_OF_MEMORY = "the machine ran out of memory"
_UNKNOWN_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)'")


class _Ended(Struct):
    """The worker's report on how a program ended: its exit code, seconds, and the most resident memory in KiB."""

    id: int
    end: str
    code: int
    wall: float
    cpu: float
    rss: int


class RunningJail:
    """A started and sandboxed worker. A failure of `run` is a verdict and leaves the jail `broken`."""

    def __init__(self, worker: Worker, stream: Stream, memory_mb: int) -> None:
        self.worker = worker
        self.stream = stream
        self.memory_mb = memory_mb
        self.served = 0
        self.broken = False
        self.landlock = 0
        # The number of out-of-memory kills on this machine, and when they were counted.
        self._kills, self._counted = 0, -_SECONDS_PER_COUNT

    @classmethod
    async def open(
        cls, jail: Jail, worker: Worker, filters: Filters, packages: Sequence[str], memory_mb: int
    ) -> "RunningJail":
        """Send a started worker its source and wait until it is sandboxed. Raises `Broken`."""
        # The transport closes its socket; the worker's own stays open until it is killed.
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: Stream(worker.unwrap), sock=worker.socket.dup()
        )
        settings = {
            "server_filter": base64.b64encode(filters.server).decode(),
            "program_filter": base64.b64encode(filters.program).decode(),
            "pid_placeholder": PID_PLACEHOLDER,
            "landlock": jail.landlock,
            "readable": [str(jail.root / "python"), str(jail.root / "lib")],
            "processes": jail.processes,
            "packages": list(packages),
        }
        running = cls(worker, stream, memory_mb)
        try:
            async with asyncio.timeout(_STARTING_SECONDS):
                hello = json.loads(
                    await stream.ask(first_frame() + frame(json.dumps(settings).encode()), _HEADER_BYTES)
                )
            if hello["version"] != sys.version:
                raise Broken(f"the worker runs Python {hello['version']} where synth runs {sys.version}")
            running.landlock = hello["landlock"]
        except BaseException as error:
            stream.close()
            if isinstance(error, TimeoutError):
                raise Broken(f"no worker started within {_STARTING_SECONDS:.0f} seconds") from error
            if isinstance(error, ValueError | KeyError | TypeError):
                raise Broken("the worker's first message is invalid") from error
            raise
        return running

    async def run(self, program: Program) -> Verdict:
        """Run a program once. A `sandbox_error`, or a program that makes the jail suspect, leaves it `broken`."""
        self.served += 1
        # Until it has answered, in case the caller is cancelled meanwhile.
        self.broken = True
        limits = program.limits
        most = limits.output_bytes + _HEADER_BYTES + 65_536
        if time.monotonic() - self._counted >= _SECONDS_PER_COUNT:
            self._kills, self._counted = _killed_for_memory(), time.monotonic()
        try:
            async with asyncio.timeout(limits.seconds + _GRACE_SECONDS):
                answer = await self.stream.ask(_request(self.served, program), most)
            size = int.from_bytes(answer[:4], "big")
            ended = _read_report(answer[4 : 4 + size])
            if ended.id != self.served:
                raise Broken("it answered another question")
        except (Broken, TimeoutError, ValueError) as error:
            reason = _OUT_OF_MEMORY if _killed_for_memory() > self._kills else str(error)
            return _failed(program, reason or "it did not answer in time")
        if ended.end == "unready":
            return _failed(program, "a program could not be locked in")
        verdict = _verdict(ended, answer[4 + size :], program)
        if verdict.status == "killed" and _killed_for_memory() > self._kills:
            verdict = replace(verdict, detail=_OUT_OF_MEMORY)
        # The machine is out of memory, or the program is hostile: the next one gets a new jail.
        self.broken = verdict.status in ("killed", "no_exit", "malformed")
        return verdict


_read_report = msgspec.json.Decoder(_Ended).decode


def _request(number: int, program: Program) -> bytes:
    limits = program.limits
    settings = {
        "id": number,
        "source": program.code,
        "entry": program.entry,
        "order": program.order,
        "seed": program.profile,
        "seconds": limits.seconds,
        "memory_mb": limits.memory_mb,
        "output_bytes": limits.output_bytes,
    }
    # The inputs are JSON already.
    return frame(f'{json.dumps(settings)[:-1]},"inputs":[{",".join(program.inputs)}]}}'.encode())


def _failed(program: Program, detail: str) -> Verdict:
    return Verdict("sandbox_error", (None,) * len(program.inputs), detail)


def _verdict(ended: _Ended, payload: bytes, program: Program) -> Verdict:
    """Combine the worker's report on how the program ended with the program's own answers."""
    answers = read_payload(payload, program.order)
    limits, code = program.limits, ended.code
    status: Status
    detail = ""
    match ended.end:
        case "timeout":
            status, detail = "timeout", f"{limits.seconds:g} s had passed {_progress(answers)}"
        case "processor_time":
            status, detail = "timeout", f"it had used {ended.cpu:.0f} s of processor time {_progress(answers)}"
        case "output_limit":
            status, detail = "output_limit", f"more than {limits.output_bytes} bytes of answers"
        case "no_exit":
            status = "no_exit"
        case _ if code == -Signals.SIGKILL:
            status, detail = "killed", "SIGKILL, sent neither by its limits nor by the sandbox"
        case _ if code < 0:
            status, detail = "crashed", _signal_name(-code)
        case _ if answers.malformed:
            status, detail = "malformed", answers.malformed
        case _ if answers.load_error:
            status, detail = "load_error", answers.load_error + _advice(answers.load_error)
        case _ if None in answers.outcomes and code == CANNOT_ANSWER:
            status, detail = "missing", f"it could not write an answer {_progress(answers)}"
        case _ if None in answers.outcomes:
            status, detail = "missing", f"it ended with exit code {code} {_progress(answers)}"
        case _:
            status = "ok"
    return Verdict(status, tuple(answers.outcomes), detail, ended.wall, ended.cpu, ended.rss)


def _progress(answers: Answers) -> str:
    """How far the program got."""
    done = sum(outcome is not None for outcome in answers.outcomes)
    if not answers.loaded:
        return "while it was loaded"
    if done == len(answers.outcomes):
        return "after its last call"
    return f"in call {done + 1} of {len(answers.outcomes)}"


def _advice(load_error: str) -> str:
    unknown = _UNKNOWN_MODULE.fullmatch(load_error)
    if unknown is None:
        return ""
    if unknown[1] in sys.stdlib_module_names:
        return ": jails do not have this part of the standard library"
    return ": --jail-package lets programs import a package that is installed beside synth"


def _killed_for_memory() -> int:
    """The number of out-of-memory kills on this machine; 0 if the kernel does not count them."""
    try:
        counters = os.open("/proc/vmstat", os.O_RDONLY)
    except OSError:
        return 0
    try:
        found = re.search(rb"^oom_kill (\d+)$", os.read(counters, 65_536), re.MULTILINE)
    finally:
        os.close(counters)
    return int(found[1]) if found else 0


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
