"""Programs that start or signal processes, or request forbidden things from the kernel. Rows 1 to 5 and 25 to 30."""

# ruff: noqa: E501  long lines of programs

from tests.hostile.case import SHORT, TRIED, case

CASES = [
    case("fork", "import os\ndef f():\n    while True: os.fork()", "exception PermissionError"),
    case(
        "fork, errors swallowed",
        "import os\ndef f():\n    while True:\n        try: os.fork()\n        except BaseException: pass",
        "timeout; -",
        limits=SHORT,
    ),
    case(
        "daemon",
        "import os\ndef f():\n    if not os.fork():\n        os.setsid()\n        os.fork()\n        while True: pass",
        "exception PermissionError",
    ),
    case("subprocess", "import subprocess\ndef f(): subprocess.run(['/bin/true'])", "exception *Error"),
    case("os.system", "import os\ndef f(): return os.system('true') == 0", "False", "exception *"),
    case("execve", "import os\ndef f(): os.execve('/python/bin/python3', ['x'], {})", "exception PermissionError"),
    case("posix_spawn", "import os\ndef f(): os.posix_spawn('/bin/true', ['x'], {})", "exception *Error"),
    case(
        "process pool",
        "from multiprocessing import Pool\ndef f():\n    with Pool(2) as p: return p.map(abs, [1])",
        "exception *Error",
    ),
    case(
        "thread bomb",
        "import threading, time\ndef f():\n    while True: threading.Thread(target=time.sleep, args=(99,)).start()",
        "exception RuntimeError",
        "exception MemoryError",
    ),
    case(
        "bomb of small threads",
        "import threading, time\ndef f():\n    threading.stack_size(32768)\n"
        "    while True: threading.Thread(target=time.sleep, args=(99,)).start()",
        "exception RuntimeError",
        "exception MemoryError",
        "timeout; -",
        "crashed; -",
        limits=SHORT,
    ),
    case(
        "threads left running",
        "import threading\ndef g():\n    while True: pass\ndef f():\n    threading.Thread(target=g).start()\n    return 1",
        "1",
    ),
    case(
        "thread pool, honestly",
        "from concurrent.futures import ThreadPoolExecutor\ndef f():\n"
        "    with ThreadPoolExecutor(4) as p: return list(p.map(str, range(5)))",
        "['0', '1', '2', '3', '4']",
    ),
    case(
        "asyncio, honestly",
        "import asyncio\nasync def g(n):\n    await asyncio.sleep(0.001)\n    return n\n"
        "async def h(): return await asyncio.gather(g(1), g(2))\ndef f(): return asyncio.run(h())",
        "[1, 2]",
    ),
    case(
        "asyncio with a thread, honestly",
        "import asyncio\nasync def h(): return await asyncio.to_thread(sum, [1, 2])\ndef f(): return asyncio.run(h())",
        "3",
    ),
    case(
        "signals to others",
        TRIED + "import os, signal\ndef f():\n"
        "    return tried(one=lambda: os.kill(1, 9), parent=lambda: os.kill(os.getppid(), 9),\n"
        "        all=lambda: os.kill(-1, 9), group=lambda: os.killpg(0, 9), stop=lambda: os.kill(1, signal.SIGSTOP))",
        "[]",
    ),
    case(
        "signals by bare calls",
        "import ctypes, os\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n    p = os.getppid()\n    out = []\n"
        "    for call in ((234, p, p, 9), (200, p, 9), (62, p, 9), (129, p, 9, 0), (297, p, p, 9, 0), (424, 3, 9, 0, 0),\n"
        "                 (434, p, 0), (438, 3, 0, 0)):\n"
        "        if c.syscall(*call) >= 0 or ctypes.get_errno() != 1: out.append((call, ctypes.get_errno()))\n"
        "    return out",
        "[]",
    ),
    case(
        "an abort of another process",
        "import ctypes, os\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n    p, own = os.getppid(), os.getpid()\n    out = []\n"
        "    for call in ((234, p, p, 6), (234, 1, 1, 6), (234, -1, p, 6), (234, own, own, 9), (234, own, own, 19),\n"
        "                 (234, ctypes.c_long(own | 1 << 32), own, 6), (234, 0x7A5E1D3B, own, 6)):\n"
        "        if c.syscall(*call) >= 0 or ctypes.get_errno() != 1: out.append(call)\n"
        "    return out",
        "[]",
    ),
    case(
        "an owner for SIGIO",
        TRIED + "import fcntl, os\ndef f(): return tried(own=lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()))",
        "[]",
    ),
    case("ptrace", "import ctypes\ndef f(): ctypes.CDLL(None).ptrace(16, 1, 0, 0)", "crashed; -"),
    case("process_vm_writev", "import ctypes\ndef f(): ctypes.CDLL(None).syscall(311, 1, 0, 0, 0, 0, 0)", "crashed; -"),
    case("process_vm_readv", "import ctypes\ndef f(): ctypes.CDLL(None).syscall(310, 1, 0, 0, 0, 0, 0)", "crashed; -"),
    case(
        "memory of others",
        TRIED
        + "import os\ndef f(): return tried(**{n: lambda n=n, w=w: os.open(n, w) for w in (os.O_RDONLY, os.O_RDWR)\n"
        "    for n in ('/proc/1/mem', '/proc/%d/mem' % os.getppid(), '/proc/self/mem', '/proc/1/maps')})",
        "[]",
    ),
    case("unshare", "import ctypes\ndef f(): ctypes.CDLL(None).unshare(0x10000000)", "crashed; -"),
    case("setns", "import ctypes\ndef f(): ctypes.CDLL(None).setns(0, 0)", "crashed; -"),
    case("mount", "import ctypes\ndef f(): ctypes.CDLL(None).mount(b'x', b'/', b'tmpfs', 0, 0)", "crashed; -"),
    case(
        "clone with a new user namespace",
        "import ctypes\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n"
        "    return [(c.syscall(56, flags, 0, 0, 0, 0), ctypes.get_errno()) for flags in\n"
        "            (0x10000000, 17, 0x8000 | 17, 0x10000000 | 0x10000, 0x20000 | 0x10000, 0x2000 | 0x10000)]",
        "[(-1, 1), (-1, 1), (-1, 1), (-1, 1), (-1, 1), (-1, 1)]",
    ),
    case(
        "clone3",
        "import ctypes\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n"
        "    return c.syscall(435, bytes(88), 88), ctypes.get_errno()",
        "(-1, 38)",
    ),
    *(
        case(name, f"import ctypes\ndef f(): ctypes.CDLL(None).syscall({number}, 0, 0, 0, 0, 0, 0)", "crashed; -")
        for name, number in {
            "io_uring_setup": 425,
            "io_uring_enter": 426,
            "bpf": 321,
            "keyctl": 250,
            "add_key": 248,
            "request_key": 249,
            "userfaultfd": 323,
            "perf_event_open": 298,
            "kexec_load": 246,
            "init_module": 175,
            "an x32 call": 0x40000000 + 39,
        }.items()
    ),
    case(
        "memfd and other places to write",
        TRIED + "import ctypes, os\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n    out = []\n"
        "    for n in (319, 447, 29, 68, 64, 240, 253, 294, 282, 289, 283, 161, 133, 85, 73):\n"
        "        if c.syscall(n, 0, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() not in (1, 38): out.append(n)\n"
        "    return out",
        "[]",
    ),
    case(
        "a 32-bit call",
        # mov eax, 20 (getpid); int 0x80; ret
        "import ctypes, mmap\ndef f():\n    m = mmap.mmap(-1, 4096, prot=7)\n"
        "    m.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))\n"
        "    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()",
        "crashed; -",
    ),
    case(
        "raised limits",
        TRIED + "import resource as r\ndef f():\n    return tried(**{str(k): lambda k=k: r.setrlimit(k, (-1, -1))\n"
        "        for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NPROC, r.RLIMIT_NOFILE)})",
        "[]",
    ),
    case(
        "prctl and another filter",
        "import ctypes\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n    out = []\n"
        "    for call in ((157, 4, 1, 0, 0, 0), (157, 1, 0, 0, 0, 0), (157, 22, 2, 0, 0, 0), (317, 1, 0, 0), (160, 9, 0),\n"
        "                 (302, 0, 9, bytes(16), 0), (157, 38, 0, 0, 0, 0)):\n"
        "        if c.syscall(*call) >= 0 or ctypes.get_errno() != 1: out.append(call)\n"
        "    return out",
        "[]",
    ),
]
