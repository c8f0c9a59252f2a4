"""The system calls that a jail allows: two seccomp filters, compiled here and installed by the worker.

The server's filter is an allow-list. Other calls fail with EPERM, which Python handles, instead of killing the process:
libraries try new calls and fall back. Only calls that no honest program makes are deadly. The program's filter is
stacked on top and removes what only the server may do: fork, signals, waiting, limits. The only signal that a program
may send is SIGABRT to itself.
"""

import hashlib
import os
from dataclasses import dataclass
from errno import ENOSYS, EPERM
from functools import cache
from importlib import import_module
from signal import SIGABRT
from types import ModuleType

from synth.schemas.errors import SandboxUnavailable

__all__ = ["ALLOWED", "DEADLY", "PID_PLACEHOLDER", "SERVER_ONLY", "SIGNALS", "Filters", "compiled_filters"]

ALLOWED = """
read readv pread64 preadv write writev lseek close close_range dup dup2 dup3 pipe pipe2
fstat newfstatat stat lstat statx access faccessat faccessat2 readlink readlinkat getcwd getdents64 fstatfs
brk mmap munmap mremap mprotect madvise mincore
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending sigaltstack
futex set_robust_list get_robust_list set_tid_address rseq membarrier sched_yield sched_getaffinity getcpu
restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage sysinfo uname
alarm setitimer getitimer pause
poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2
shutdown getsockname getpeername getsockopt
getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid getgroups getpriority
getrandom getrlimit exit exit_group
"""
SERVER_ONLY = "kill wait4 waitid pidfd_open prctl prlimit64 setrlimit seccomp"
SIGNALS = "tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal pidfd_getfd fork vfork"
DEADLY = """
ptrace process_vm_readv process_vm_writev bpf keyctl add_key request_key mount umount2 pivot_root unshare setns
io_uring_setup io_uring_enter io_uring_register userfaultfd perf_event_open kexec_load init_module finit_module
delete_module
"""

CLONE_THREAD = 0x10000
# New namespaces, CLONE_PARENT (the child would be a sibling of the server) and CLONE_PTRACE.
CLONE_ESCAPES = 0x7E020000 | 0x8000 | 0x2000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, and TCGETS for isatty.
IOCTLS = (0x5421, 0x541B, 0x5451, 0x5450, 0x5401)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: no locks, no leases, no signals.
FCNTLS = (0, 1, 2, 3, 4, 1030)
AF_UNIX, SOCK_STREAM, MSG_OOB = 1, 1, 1
# Stands in the program's filter for the id of the process that installs it.
PID_PLACEHOLDER = 0x7A5E1D3B


@dataclass(frozen=True)
class Filters:
    """Two compiled BPF programs and their digest."""

    server: bytes
    program: bytes
    digest: str


@cache
def compiled_filters() -> Filters:
    """Compile for this machine. Raises `SandboxUnavailable` if libseccomp or pyseccomp is missing."""
    try:
        pyseccomp = import_module("pyseccomp")
    except (ImportError, OSError, RuntimeError) as error:
        raise SandboxUnavailable(
            f"the sandbox needs libseccomp and pyseccomp ({error}): apt-get install libseccomp2, pip install pyseccomp"
        ) from error
    server, program = _server_filter(pyseccomp), _program_filter(pyseccomp)
    return Filters(server, program, hashlib.sha256(server + b"|" + program).hexdigest()[:16])


def _server_filter(seccomp: ModuleType) -> bytes:
    arg, equal, masked = seccomp.Arg, seccomp.EQ, seccomp.MASKED_EQ
    filter_ = _Rules(seccomp, seccomp.ERRNO(EPERM))
    for name in f"{ALLOWED} {SERVER_ONLY}".split():
        filter_.add(seccomp.ALLOW, name)
    for name in DEADLY.split():
        filter_.add(seccomp.KILL_PROCESS, name)
    filter_.add(seccomp.ALLOW, "openat", arg(2, masked, WRITING, 0))
    filter_.add(seccomp.ALLOW, "clone", arg(0, masked, CLONE_ESCAPES, 0))
    # glibc falls back to clone, whose flags a filter can check.
    filter_.add(seccomp.ERRNO(ENOSYS), "clone3")
    for request in IOCTLS:
        filter_.add(seccomp.ALLOW, "ioctl", arg(1, equal, request))
    for command in FCNTLS:
        filter_.add(seccomp.ALLOW, "fcntl", arg(1, equal, command))
    # asyncio's event loop wakes itself through a socket pair. Only streams, and no addresses: a datagram could reach a
    # socket of the host.
    filter_.add(seccomp.ALLOW, "socketpair", arg(0, equal, AF_UNIX), arg(1, masked, 0xF, SOCK_STREAM))
    # Urgent data is not needed, and kernels have had bugs in it.
    filter_.add(seccomp.ALLOW, "sendto", arg(4, equal, 0), arg(3, masked, MSG_OOB, 0))
    filter_.add(seccomp.ALLOW, "recvfrom", arg(3, masked, MSG_OOB, 0))
    # For abort(), which would otherwise end in a fault.
    filter_.add(seccomp.ALLOW, "tgkill", arg(2, equal, SIGABRT))
    return filter_.compiled()


def _program_filter(seccomp: ModuleType) -> bytes:
    arg, masked = seccomp.Arg, seccomp.MASKED_EQ
    filter_ = _Rules(seccomp, seccomp.ALLOW)
    forbidden = seccomp.ERRNO(EPERM)
    for name in f"{SERVER_ONLY} {SIGNALS}".split():
        if name != "prlimit64":
            filter_.add(forbidden, name)
    # Python reads limits with prlimit64 and a null pointer as the new limit.
    filter_.add(forbidden, "prlimit64", arg(2, seccomp.NE, 0))
    filter_.add(forbidden, "clone", arg(0, masked, CLONE_THREAD, 0))
    filter_.add(forbidden, "tgkill", arg(0, seccomp.NE, PID_PLACEHOLDER))
    return filter_.compiled()


class _Rules:
    def __init__(self, seccomp: ModuleType, default: int) -> None:
        self._seccomp = seccomp
        self._filter = seccomp.SyscallFilter(default)
        # System calls of other architectures (32 bits, x32) have other numbers, which these rules would misread.
        self._filter.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)

    def add(self, action: int, name: str, *arguments: object) -> None:
        # Newer architectures lack the older calls.
        if self._seccomp.resolve_syscall(self._seccomp.Arch.NATIVE, name) >= 0:
            self._filter.add_rule(action, name, *arguments)

    def compiled(self) -> bytes:
        with os.fdopen(os.memfd_create("filter"), "w+b") as file:
            self._filter.export_bpf(file)
            file.seek(0)
            return file.read()
