"""What runs in a jail: a server that forks once for each program, and never looks at what the program does.

It is sent through the stream as source, so no file of ours lies in the jail. The server locks itself in before any
program comes (Landlock, then the first seccomp filter) and stays at one process and one thread. A child gives up all
descriptors but its own end of a socket pair, sets its limits, installs the second filter, and only then compiles its
program. Deadlines, verdicts and times are the server's; the bytes that a child writes are handed on unread.

The pair is no pipe because /proc/self/fd opens a pipe a second time, and a program could then read its own answers.

Frames are a length (four bytes, big-endian) and that many bytes. Nothing but the standard library may be imported.
"""

import base64
import ctypes
import gc
import json
import os
import random
import resource
import select
import signal
import sys
import time
import types
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socketpair
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from synth.sandbox.values import Unencodable, decode, encode_text, type_name

RESULT = 3
READY = b"\x00"
HOST_IN, HOST_OUT = 10, 11
DESCRIPTORS = 64
LOCKING_SECONDS = 5.0
# How much more processor time a program has than its deadline: threads may spend several seconds in one.
PROCESSOR_SECONDS = 2
# The exit code of a child that could not write an answer.
UNSAID = 113
BLOCK = 65_536

F_SETFL = 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_VERSION, LANDLOCK_PATH_BENEATH = 1, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# How many kinds of file access each version of Landlock knows.
FILE_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
SPEAKING_ERRORS = (SyntaxError, IndentationError, TabError, ImportError, ModuleNotFoundError, NameError, AttributeError)
LOADED = "[-1,4,null]"
# Imported before the fork: each makes every fork dearer by some microseconds, and saves the programs that use it
# milliseconds. asyncio would cost all of them a quarter of a millisecond, and few use it.
WARM = """
abc array bisect calendar cmath collections collections.abc contextlib copy dataclasses datetime decimal enum fractions
functools hashlib heapq io itertools json math numbers operator random re statistics string struct textwrap time types
typing unicodedata
"""

_libc = ctypes.CDLL(None, use_errno=True)
_exit, _write = os._exit, os.write
_args_of, _forget = BaseException.__dict__["args"].__get__, BaseException.__dict__["__traceback__"].__set__


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def main() -> None:
    """Serve the host on standard input and output until it hangs up."""
    os.dup2(0, HOST_IN, inheritable=False)
    os.dup2(1, HOST_OUT, inheritable=False)
    settings = json.loads(_read_frame())
    for name in WARM.split():
        import_module(name)
    null = os.open("/dev/null", os.O_RDWR)
    landlock = _lock_in(settings, null)
    # Under the filter, for these may be anybody's code.
    if settings["packages"]:
        sys.path.append(str(Path(os.__file__).parent / "site-packages"))
    for name in settings["packages"]:
        import_module(name)
    if "FAKETIME" in os.environ:
        time.sleep = _sleep  # type: ignore[assignment]
    # The same in every jail: some set PWD or HOSTNAME, and all that a program needs of ours has taken effect.
    for name in set(os.environ) - {"LC_ALL", "TZ"}:
        del os.environ[name]
    confine = partial(_confine, base64.b64decode(settings["program_filter"]), settings["own_number"])
    for name in ("synth.sandbox.worker", "synth.sandbox.values", "synth.sandbox", "synth"):
        sys.modules.pop(name, None)
    # Until now standard error was the host's, so that a failure here was reported.
    os.dup2(null, 2)
    os.closerange(3, HOST_IN)
    os.closerange(HOST_OUT + 1, DESCRIPTORS)
    _write_frame(json.dumps({"version": sys.version, "landlock": landlock}).encode())
    gc.collect()
    gc.freeze()
    while True:
        _serve(json.loads(_read_frame()), confine, settings["processes"])


def _sleep(seconds: float) -> None:
    """As `time.sleep`, which fails under a libfaketime that is set to leave the monotonic clock alone (0.9.10)."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


def _lock_in(settings: dict[str, Any], null: int) -> int:
    """Give up what neither this process nor any program will need. Returns the version of Landlock, 0 for none."""
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    landlock = _landlock(settings["readable"])
    if landlock < settings["landlock"]:
        raise OSError(f"this jail needs Landlock {settings['landlock']}, and the kernel has version {landlock}")
    _install(base64.b64decode(settings["server_filter"]))
    return landlock


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _install(instructions: bytes) -> None:
    program = ctypes.byref(_Program(len(instructions) // 8, instructions))
    if _libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), program, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl PR_SET_SECCOMP")


def _confine(instructions: bytes, own_number: int) -> None:
    """Install the program's filter, in which `own_number` stands for the process that it is installed in."""
    size, order = 4, sys.byteorder
    _install(instructions.replace(own_number.to_bytes(size, order), os.getpid().to_bytes(size, order)))


def _landlock(readable: list[str]) -> int:
    version = int(_libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION))
    if version < 1:
        return 0
    files = (1 << FILE_ACCESSES.get(version, 16)) - 1
    # TCP from version 4, abstract sockets and signals out of the domain from version 6.
    attributes = [files, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0][: 3 if version >= 6 else 2]
    rules = b"".join(part.to_bytes(8, sys.byteorder) for part in attributes[: None if version >= 4 else 1])
    ruleset = _syscall(LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    for path in readable:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = (READ_FILE | READ_DIR).to_bytes(8, sys.byteorder) + folder.to_bytes(4, sys.byteorder)
        _syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_PATH_BENEATH, rule, 0)
        os.close(folder)
    _syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return version


def _syscall(number: int, *arguments: Any) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return answer


def _serve(request: dict[str, Any], confine: Callable[[], None], processes: int | None) -> None:
    """Run one program to its end, whatever that is, and tell the host."""
    # The standard streams are the same for all programs, and so is what one of them sets there.
    _libc.fcntl(0, F_SETFL, os.O_RDWR)
    answers, answering = _one_way()
    child = os.fork()
    if not child:
        code = UNSAID
        try:
            _become_program(request, answering, confine, processes)
            code = 0
        finally:
            _exit(code)
    os.close(answering)
    payload = bytearray()
    end, deadline = _listen(answers, payload, request["seconds"], request["output_bytes"])
    if end == "exit" and not _wait(child, deadline):
        end = "no_exit"
    if end != "exit":
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    os.close(answers)
    code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    # A program that ignores the first signal is killed by a second one.
    if end == "exit" and (code == -signal.SIGXCPU or (code == -signal.SIGKILL and cpu >= _processor_seconds(request))):
        end = "processor_time"
    header = {
        "id": request["id"],
        "end": end if payload[:1] == READY else "unready",
        "code": code,
        "wall": time.monotonic() - (deadline - request["seconds"]),
        "cpu": cpu,
        "rss": used.ru_maxrss,
    }
    head = json.dumps(header).encode()
    _write_frame(len(head).to_bytes(4, "big") + head + payload[1:])


def _one_way() -> tuple[int, int]:
    """The ends of a pair of sockets, for reading and for writing."""
    reading, writing = socketpair(AF_UNIX, SOCK_STREAM)
    reading.shutdown(SHUT_WR)
    return reading.detach(), writing.detach()


def _processor_seconds(request: dict[str, Any]) -> int:
    return int(request["seconds"]) + PROCESSOR_SECONDS


def _listen(answers: int, payload: bytearray, seconds: float, most: int) -> tuple[str, float]:
    """Take what the child writes until it closes its end, says too much, or runs out of time; and when that is.

    Its time begins when it is locked in, which on a busy machine may take longer than all the time it has.
    """
    watched = select.poll()
    watched.register(answers, select.POLLIN)
    watched.register(HOST_IN, select.POLLIN)
    deadline = time.monotonic() + LOCKING_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in watched.poll(left * 1000):
            if descriptor == HOST_IN:
                # The host hung up, or spoke out of turn. As the first process here this ends the child as well.
                _exit(1)
            block = os.read(answers, BLOCK)
            if not block:
                return "exit", deadline
            if not payload:
                deadline = time.monotonic() + seconds
            payload += block
            if len(payload) > most:
                return "output_limit", deadline
    return "timeout", deadline


def _wait(child: int, deadline: float) -> bool:
    """Whether the child, which has closed its socket, ends in time. Leaves it to be reaped."""
    exited = os.WEXITED | os.WNOWAIT
    if os.waitid(os.P_PID, child, exited | os.WNOHANG):
        return True
    try:
        handle = os.pidfd_open(child)
    except OSError:
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, child, exited | os.WNOHANG):
                return True
            time.sleep(0.001)
        return False
    watched = select.poll()
    watched.register(handle, select.POLLIN)
    ended = bool(watched.poll(max(deadline - time.monotonic(), 0) * 1000))
    os.close(handle)
    return ended


def _become_program(
    request: dict[str, Any], answering: int, confine: Callable[[], None], processes: int | None
) -> None:
    """Give up everything that the program must not have, in an order in which each step is still allowed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(answering, RESULT)
    os.closerange(RESULT + 1, DESCRIPTORS)
    memory = request["memory_mb"] << 20
    limits = [
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ]
    if processes is not None:
        limits.append((resource.RLIMIT_NPROC, processes))
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))
    seconds = _processor_seconds(request)
    # SIGXCPU at the first, SIGKILL at the second: with both at once, the kernel sends only SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    random.seed(request["seed"])
    module = types.ModuleType("program")
    sys.modules["program"] = module
    confine()
    _write(RESULT, READY)
    _run_program(module, request)


def _run_program(module: types.ModuleType, request: dict[str, Any]) -> None:
    try:
        code = compile(request["source"], "<program>", "exec")
    except Exception as error:
        _answer(f"[-1,3,{json.dumps(_uncompiled(error))}]")
        return
    try:
        exec(code, module.__dict__)
        entry = module.__dict__[request["entry"]]
    except BaseException as error:
        _answer(f"[-1,3,{json.dumps(_told(error, request['entry']))}]")
        return
    _answer(LOADED)
    inputs = request["inputs"]
    for index in request["order"]:
        try:
            args, kwargs = inputs[index]
            value = entry(*decode(args), **decode(kwargs))
            try:
                answer = f"[{index},0,{encode_text(value)}]"
            except Unencodable as error:
                answer = f"[{index},2,{json.dumps(_args_of(error)[0])}]"
        except BaseException as error:
            # The traceback holds what the program held, which may be all the memory there is.
            _forget(error, None)
            answer = f"[{index},1,{json.dumps(type_name(type(error)))}]"
        _answer(answer)


def _uncompiled(error: Exception) -> str:
    """No code of the program has run yet, so the words are Python's."""
    if isinstance(error, SyntaxError):
        words = error.msg + (f" (line {error.lineno})" if error.lineno else "")
    else:
        words = str(error)
    return f"{type(error).__name__}: {words[:200]}" if words else type(error).__name__


def _told(error: BaseException, entry: str) -> str:
    """What is wrong with the program, in words only where no code of the program can have chosen how they are made."""
    kind = type(error)
    if kind is KeyError and _args_of(error) == (entry,):
        return f"it has no function {entry}"
    words = _args_of(error)[:1]
    if any(kind is known for known in SPEAKING_ERRORS) and words and type(words[0]) is str:
        return f"{type_name(kind)}: {words[0][:200]}"
    return type_name(kind)


def _answer(text: str) -> None:
    data = text.encode()
    data = len(data).to_bytes(4, "big") + data
    while data:
        data = data[_write(RESULT, data) :]


def _read_frame() -> bytes:
    return _read(int.from_bytes(_read(4), "big"))


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = os.read(HOST_IN, size - len(data))
        if not block:
            _exit(0)
        data += block
    return data


def _write_frame(body: bytes) -> None:
    data = memoryview(len(body).to_bytes(4, "big") + body)
    while data:
        data = data[os.write(HOST_OUT, data) :]
