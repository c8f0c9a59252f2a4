"""Programs that attack the channels: their own result socket and those of the worker."""

# ruff: noqa: E501  long lines of programs

from tests.hostile.case import SHORT, TRIED, case

# All names of a process's descriptors, and all modes to open them.
NAMES = (
    TRIED
    + """
import os, threading
WAYS = [w | n for w in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR) for n in (0, os.O_NONBLOCK)]
def of(process, number):
    yield f'/proc/{process}/fd/{number}'
    yield f'/proc/{process}/task/{process}/fd/{number}'
    yield f'/proc/{process}/fdinfo/{number}'
def own(number):
    yield from of(os.getpid(), number)
    yield from (f'/proc/{name}/fd/{number}' for name in ('self', 'thread-self', f'self/task/{threading.get_native_id()}'))
    yield f'/dev/fd/{number}'
def opened(names): return tried(**{f'{n} {w}': lambda n=n, w=w: os.open(n, w) for n in names for w in WAYS})
"""
)
# As early as possible, before the worker has read that the program is ready.
STEAL = """
import os
def steal():
    try: return os.read(os.open('/proc/self/fd/3', os.O_RDONLY | os.O_NONBLOCK), 65536)
    except OSError: pass
steal()
def f(n):
    steal()
    return n
"""

CASES = [
    case("its own descriptors by name", NAMES + "def f(): return opened(n for d in range(5) for n in own(d))", "[]"),
    case("standard streams by name", NAMES + "def f(): return opened(['/dev/stdin', '/dev/stdout', '/dev/stderr', '/dev/tty'])", "[]"),
    case(
        "a handle without rights, opened again",
        "import os\ndef f():\n    try: handle = os.open('/proc/self/fd/3', os.O_PATH)\n    except OSError: return 'nothing'\n"
        "    for way in (os.O_RDONLY, os.O_WRONLY):\n        try: return os.open(f'/proc/self/fd/{handle}', way)\n        except OSError: pass\n"
        "    try: return os.read(handle, 1)\n    except OSError: return 'nothing'",
        "'nothing'",
    ),
    case(
        "descriptors of the worker by name",
        NAMES + "def f(): return opened(n for p in {1, os.getppid()} for d in range(64) for n in of(p, d))",
        "[]",
    ),
    case(
        "what else names the worker",
        NAMES + "def f(): return opened(f'/proc/{p}/{n}' for p in {1, os.getppid()} for n in ('mem', 'fd', 'fdinfo', 'cwd', 'root', 'exe', 'environ',\n"
        "    'maps', 'map_files', 'syscall', 'stack', 'auxv', 'pagemap', 'comm', 'stat', 'timerslack_ns', 'clear_refs', 'oom_score_adj'))",
        "[]",
    ),
    case(
        "calls for descriptors and memory of the worker",
        # pidfd_open, pidfd_getfd, kcmp, process_madvise, process_mrelease, sendmsg, recvmsg, splice, tee, vmsplice, sendfile
        "import ctypes, os\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n    p = os.getppid()\n    out = []\n"
        "    for call in ((434, p, 0), (438, 3, 10, 0), (312, p, os.getpid(), 0, 10, 3), (440, 3, 0, 0, 4, 0), (448, 3, 0),\n"
        "                 (46, 3, 0, 0), (47, 3, 0, 0), (275, 3, 0, 3, 0, 9, 0), (276, 3, 3, 9, 0), (278, 3, 0, 0, 0), (40, 3, 3, 0, 9)):\n"
        "        if c.syscall(*call) >= 0 or ctypes.get_errno() != 1: out.append(call)\n"
        "    return out",
        "[]",
    ),
    case("no other channel", "import os, stat\ndef f(): return [d for d in range(3) if not stat.S_ISCHR(os.fstat(d).st_mode)], stat.S_ISSOCK(os.fstat(3).st_mode)", "([], True)"),
    case("reading where it answers", "import os, socket\ndef f(): return os.read(3, 99), socket.socket(fileno=os.dup(3)).recv(99, socket.MSG_PEEK)", "(b'', b'')"),
    case(
        "urgent bytes, descriptors and options on its socket",
        TRIED + "import os, socket\ndef f():\n    s = socket.socket(fileno=os.dup(3))\n    a, b = socket.socketpair()\n    return tried(\n"
        "        urgent=lambda: s.send(b'x', socket.MSG_OOB), pair=lambda: a.send(b'x', socket.MSG_OOB), take=lambda: b.recv(1, socket.MSG_OOB),\n"
        "        descriptor=lambda: socket.send_fds(s, [b'x'], [0]), smaller=lambda: s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1),\n"
        "        inline=lambda: s.setsockopt(socket.SOL_SOCKET, 10, 1), connect=lambda: s.connect('\\0x'), accept=s.accept, listen=s.listen)",
        "[]",
    ),
    case("a socket that it closes for reading", "import os, socket\ndef f():\n    socket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_RD)\n    return 1", "1"),
    case("a socket that it closes for writing", "import os, socket\ndef f():\n    socket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_WR)\n    return 1", "missing; -"),
    case("a socket that it closes and lives on", "import os, socket\ndef f():\n    socket.socket(fileno=os.dup(3)).shutdown(2)\n    while True: pass", "no_exit; -", limits=SHORT),
    case("another descriptor for its socket", "import os\ndef f():\n    os.dup2(os.dup(3), 50)\n    return 1", "1"),
    case("a socket in another place", "import os\ndef f():\n    os.dup(3)\n    os.close(3)\n    while True: pass", "timeout; -", limits=SHORT),
    case("a full socket that does not wait", "import os\ndef f():\n    os.set_blocking(3, False)\n    while True:\n        try: os.write(3, bytes(99))\n        except BlockingIOError: os._exit(0)", "malformed; -", "output_limit; -"),
    case("a byte at a time", "import os, time\ndef f():\n    while True:\n        os.write(3, b'\\0')\n        time.sleep(0.0005)", "timeout; -", limits=SHORT),
    case("threads that answer together", "import os, threading\ndef g():\n    while True: os.write(3, b'\\0\\0\\0\\x07[0,0,1]')\ndef f():\n    for _ in range(8): threading.Thread(target=g).start()\n    g()", "output_limit; 1", "output_limit; -"),
    case("its answers, taken back", STEAL, "0; 1; 2", calls=3),
    case("flags left on the standard streams", "import fcntl, os\ndef f():\n    fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n    os.set_blocking(1, False)", "None"),
    case("flags found on the standard streams", "import fcntl, os\ndef f(): return [fcntl.fcntl(d, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND) for d in range(3)]", "[0, 0, 0]"),
]  # fmt: skip
