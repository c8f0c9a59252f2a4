"""The process in a jail: a server that forks once per program and never interprets the program's output.

Its source arrives through the stream, so the jail contains none of our files. The server sandboxes itself before the
first program (Landlock, then the first seccomp filter) and stays a single process with a single thread. A child closes
all descriptors except its end of a socket pair, sets its limits, installs the second filter, and only then compiles its
program. The server decides deadlines, verdicts and times; it forwards a child's output unread.

A socket pair, not a pipe: a pipe can be reopened through /proc/self/fd, and the program could read back its answers.

A frame is a length (four bytes, big-endian) and that many bytes. Only the standard library may be imported.
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
from importlib import import_module
from pathlib import Path
from typing import Any

from synth.sandbox.values import Unencodable, decode, encode_text, type_name

RESULT = 3
READY = b"\x00"
HOST_IN, HOST_OUT = 10, 11
DESCRIPTORS = 64
SETUP_SECONDS = 5.0
# CPU time allowed beyond the wall-clock limit: several threads use several CPU seconds per second.
PROCESSOR_SECONDS = 2
# The exit code of a child that could not write an answer.
CANNOT_ANSWER = 113
BLOCK = 65_536
PAUSE_MILLISECONDS = 2

F_SETFL = 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_VERSION, LANDLOCK_PATH_BENEATH = 1, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# The number of file access rights in each Landlock version.
FILE_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
# Exact types whose messages are reported.
QUOTED_ERRORS = (SyntaxError, IndentationError, TabError, ImportError, ModuleNotFoundError, NameError, AttributeError)
LOADED = "[-1,4,null]"
# Imported before the fork: each costs every fork some microseconds and saves milliseconds in programs that use it.
# asyncio would cost every fork 0.25 ms, and few programs use it.
PRELOADED = """
abc array bisect calendar cmath collections collections.abc contextlib copy dataclasses datetime decimal enum fractions
functools hashlib heapq io itertools json math numbers operator random re statistics string struct textwrap time types
typing unicodedata
"""

_libc = ctypes.CDLL(None, use_errno=True)
_call_prctl = _libc.prctl
_call_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
_exit, _write = os._exit, os.write
_args_of, _set_traceback = BaseException.__dict__["args"].__get__, BaseException.__dict__["__traceback__"].__set__


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def main() -> None:
    """Serve the host on standard input and output until it disconnects."""
    os.dup2(0, HOST_IN, inheritable=False)
    os.dup2(1, HOST_OUT, inheritable=False)
    settings = json.loads(_read_frame())
    for name in PRELOADED.split():
        import_module(name)
    null = os.open("/dev/null", os.O_RDWR)
    landlock = _sandbox_server(settings, null)
    # Under the filter, because packages are untrusted code.
    if settings["packages"]:
        sys.path.append(str(Path(os.__file__).parent / "site-packages"))
    for name in settings["packages"]:
        import_module(name)
    if "FAKETIME" in os.environ:
        time.sleep = _sleep  # type: ignore[assignment]
    # The same environment in every jail: some set PWD or HOSTNAME, and our own variables have taken effect by now.
    for name in set(os.environ) - {"LC_ALL", "TZ"}:
        del os.environ[name]
    confine = _confinement(base64.b64decode(settings["program_filter"]), settings["pid_placeholder"])
    for name in ("synth.sandbox.worker", "synth.sandbox.values", "synth.sandbox", "synth"):
        sys.modules.pop(name, None)
    # Standard error goes to the host until here, so that it reports start-up failures.
    os.dup2(null, 2)
    os.closerange(3, HOST_IN)
    os.closerange(HOST_OUT + 1, DESCRIPTORS)
    _write_frame(json.dumps({"version": sys.version, "landlock": landlock}).encode())
    gc.collect()
    gc.freeze()
    while True:
        _serve(json.loads(_read_frame()), confine, settings["processes"])


def _sleep(seconds: float) -> None:
    """Like `time.sleep`, which fails under libfaketime 0.9.10 with DONT_FAKE_MONOTONIC."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


def _sandbox_server(settings: dict[str, Any], null: int) -> int:
    """Drop all access that neither the server nor a program needs. Returns the Landlock version, 0 for none."""
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


def _prctl(option: int, value: int, pointer: Any = None) -> None:
    if _call_prctl(option, value, pointer, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _install(instructions: bytes) -> None:
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(_Program(len(instructions) // 8, instructions)))


def _confinement(instructions: bytes, pid_placeholder: int) -> Callable[[], None]:
    """Installs the program's filter with `pid_placeholder` replaced by the current process id.

    All that it needs exists before the fork, so that a child gets its own copy of fewer pages of memory.
    """
    size, order = 4, sys.byteorder
    mark = pid_placeholder.to_bytes(size, order)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = ctypes.pointer(_Program(len(instructions) // 8, ctypes.cast(buffer, ctypes.c_char_p)))

    def confine() -> None:
        buffer.raw = instructions.replace(mark, os.getpid().to_bytes(size, order))
        _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)

    return confine


def _landlock(readable: list[str]) -> int:
    version = int(_libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION))
    if version < 1:
        return 0
    files = (1 << FILE_ACCESSES.get(version, 16)) - 1
    # Version 4 adds TCP, version 6 adds abstract sockets and signals that leave the domain.
    attributes = [files, *[0b11] * ((version >= 4) + (version >= 6))]
    rules = b"".join(part.to_bytes(8, sys.byteorder) for part in attributes)
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
    """Run one program until it ends or is stopped, and report to the host."""
    # All programs share the standard streams' file descriptions: undo the flags that the last program set.
    _libc.fcntl(0, F_SETFL, os.O_RDWR)
    answers, answering = _one_way_pair()
    child = os.fork()
    if not child:
        code = CANNOT_ANSWER
        try:
            _run_child(request, answering, confine, processes)
            code = 0
        finally:
            _exit(code)
    os.close(answering)
    payload = bytearray()
    handle = _handle(child)
    end, deadline = _collect(answers, handle, payload, request["seconds"], request["output_bytes"])
    if end == "exit" and not _wait(child, handle, deadline):
        end = "no_exit"
    if end != "exit":
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    os.close(answers)
    if handle is not None:
        os.close(handle)
    code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    # SIGKILL follows if the program ignores SIGXCPU.
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


def _one_way_pair() -> tuple[int, int]:
    """The reading and the writing end of a socket pair."""
    reading, writing = socketpair(AF_UNIX, SOCK_STREAM)
    reading.shutdown(SHUT_WR)
    return reading.detach(), writing.detach()


def _processor_seconds(request: dict[str, Any]) -> int:
    return int(request["seconds"]) + PROCESSOR_SECONDS


def _handle(child: int) -> int | None:
    """A descriptor that becomes readable when the child ends; None where there is no such thing."""
    try:
        return os.pidfd_open(child)
    except OSError:
        return None


def _collect(answers: int, handle: int | None, payload: bytearray, seconds: float, most: int) -> tuple[str, float]:
    """Read the child's output until it ends, exceeds `most` bytes or times out. Returns which, and the deadline.

    The clock starts when the child is sandboxed, which on a busy machine may take longer than its time limit.

    Waking for every answer would cost a short program a tenth of its time. So what it writes stays in the socket, where
    a kill of the program does not reach it, until the program ends or a moment has passed.
    """
    watched, pause = select.poll(), select.poll()
    watched.register(answers, select.POLLIN)
    for polled in (watched, pause):
        polled.register(HOST_IN, select.POLLIN)
    if handle is not None:
        pause.register(handle, select.POLLIN)
    deadline = time.monotonic() + SETUP_SECONDS
    while found := watched.poll(_milliseconds(deadline)):
        for descriptor, _ in found:
            if descriptor == HOST_IN:
                # The host disconnected or broke the protocol. As process 1, this ends the child as well.
                _exit(1)
            block = os.read(answers, BLOCK)
            if not block:
                return "exit", deadline
            if not payload:
                deadline = time.monotonic() + seconds
            payload += block
            if len(payload) > most:
                return "output_limit", deadline
        if handle is not None:
            pause.poll(min(PAUSE_MILLISECONDS, _milliseconds(deadline)))
    return "timeout", deadline


def _milliseconds(deadline: float) -> float:
    """The time until then, 0 if it has passed."""
    return max(deadline - time.monotonic(), 0) * 1000


def _wait(child: int, handle: int | None, deadline: float) -> bool:
    """Whether the child, which has closed its socket, exits by the deadline. Does not reap it."""
    exited = os.WEXITED | os.WNOWAIT
    if handle is None:
        while not os.waitid(os.P_PID, child, exited | os.WNOHANG):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.001)
        return True
    watched = select.poll()
    watched.register(handle, select.POLLIN)
    return bool(watched.poll(_milliseconds(deadline)))


def _run_child(request: dict[str, Any], answering: int, confine: Callable[[], None], processes: int | None) -> None:
    """Drop everything that the program must not have, in an order that allows each step, and run it."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(answering, RESULT)
    os.closerange(RESULT + 1, DESCRIPTORS)
    limits = {resource.RLIMIT_AS: request["memory_mb"] << 20, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    limits[resource.RLIMIT_NOFILE] = DESCRIPTORS
    if processes is not None:
        limits[resource.RLIMIT_NPROC] = processes
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))
    seconds = _processor_seconds(request)
    # SIGXCPU at the soft limit, SIGKILL at the hard one: if they were equal, the kernel would send only SIGKILL.
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
        _answer(f"[-1,3,{json.dumps(_compile_error(error))}]")
        return
    try:
        exec(code, module.__dict__)
        entry = module.__dict__[request["entry"]]
    except BaseException as error:
        _answer(f"[-1,3,{json.dumps(_load_error(error, request['entry']))}]")
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
            # The traceback keeps the program's objects alive, which may fill all available memory.
            _set_traceback(error, None)
            answer = f"[{index},1,{json.dumps(type_name(type(error)))}]"
        _answer(answer)


def _compile_error(error: Exception) -> str:
    """No code of the program has run yet, so the message is Python's own."""
    if isinstance(error, SyntaxError):
        message = error.msg + (f" (line {error.lineno})" if error.lineno else "")
    else:
        message = str(error)
    return f"{type(error).__name__}: {message[:200]}" if message else type(error).__name__


def _load_error(error: BaseException, entry: str) -> str:
    """Describe the error; with its message only if no code of the program can have influenced how it is read."""
    kind = type(error)
    if kind is KeyError and _args_of(error) == (entry,):
        return f"it has no function {entry}"
    message = _args_of(error)[:1]
    if any(kind is known for known in QUOTED_ERRORS) and message and type(message[0]) is str:
        # The host reads no lone surrogates.
        return f"{type_name(kind)}: {message[0][:200].encode(errors='backslashreplace').decode()}"
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
