"""Programs that exhaust memory, time or disk space. Rows 6 to 12 and 18."""

# ruff: noqa: E501  long lines of programs

from synth.sandbox.verdict import Limits
from tests.hostile.case import SHORT, case

SMALL = Limits(seconds=8.0, memory_mb=128)
LIST_BOMB = "def f():\n    a = []\n    while True: a.append('x' * 100_000 + str(len(a)))"

CASES = [
    case("list bomb", LIST_BOMB, "exception MemoryError"),
    case(
        "list bomb of small things",
        "def f():\n    a = []\n    while True: a.append([])",
        "exception MemoryError",
        limits=SMALL,
    ),
    case("a terabyte at once", "def f(): return bytearray(1 << 40)", "exception MemoryError"),
    case(
        "a bomb that swallows its errors",
        "def f():\n    a = []\n    while True:\n        try:\n            while True: a.append(bytearray(1 << 20))\n"
        "        except MemoryError: pass",
        "timeout; -",
        limits=SHORT,
    ),
    case("memory by mmap", "import mmap\ndef f(): return len(mmap.mmap(-1, 1 << 33))", "exception OSError"),
    case("a power tower", "def f(): return 10 ** 10 ** 9", "timeout; -", "exception MemoryError", limits=SHORT),
    case("a long shift", "def f(): return 1 << (1 << 34)", "timeout; -", "exception MemoryError", limits=SHORT),
    case(
        "backtracking",
        "import re\ndef f(): return re.match('(a+)+$', 'a' * 40 + 'b')",
        "timeout; -",
        limits=SHORT,
    ),
    case("endless loop", "def f():\n    while True: pass", "timeout; -", limits=SHORT),
    case("endless sleep", "import time\ndef f(): time.sleep(1e6)", "timeout; -", limits=SHORT),
    case("endless loop at import", "while True: pass\ndef f(): pass", "timeout; -", limits=SHORT),
    case(
        "all signals ignored",
        "import signal\ndef f():\n    for s in range(1, 65):\n        try: signal.signal(s, signal.SIG_IGN)\n"
        "        except (OSError, ValueError): pass\n    while True: pass",
        "timeout; -",
        limits=SHORT,
    ),
    case(
        "an endless loop that catches everything",
        "def f():\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "timeout; -",
        limits=SHORT,
    ),
    case(
        "threads that use up processor time",
        "import hashlib, threading\ndef g():\n    while True: hashlib.sha256(bytes(1 << 20))\ndef f():\n"
        "    for _ in range(8): threading.Thread(target=g).start()\n    g()",
        "timeout; -",
        limits=SHORT,
    ),
    case(
        "a loop on the third of four inputs",
        "def f(n):\n    while n == 2: pass\n    return n",
        "timeout; 0; 1; -; -",
        calls=4,
        limits=SHORT,
    ),
    case(
        "floods of output",
        "import os, sys\ndef f():\n    for out in (sys.stdout, sys.stderr):\n        for _ in range(200): out.write('x' * 100_000)\n"
        "        out.flush()\n    os.write(1, bytes(1 << 20))\n    return 'said'",
        "'said'",
    ),
    case(
        "endless writing to the result descriptor",
        "import os\ndef f():\n    while True: os.write(3, bytes(65536))",
        "output_limit; -",
    ),
    case(
        "answers that add up to too much",
        "def f(n): return 'x' * 60_000",
        "output_limit; *",
        calls=40,
    ),
    case("endless recursion", "def f(): return f()", "exception RecursionError"),
    case(
        "endless recursion without a limit",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()",
        "crashed; -",
        "timeout; *",
        "exception *Error",
        "missing; -",
        limits=SHORT,
    ),
    case(
        "deep recursion in C",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f():\n    a = []\n    for _ in range(300_000): a = [a]\n    return repr(a)",
        "crashed; -",
        "exception *",
        "unencodable *",
    ),
    case(
        "objects that eat memory when they go",
        "class A:\n    def __del__(self):\n        while True: pass\nx = A()\ndef f(): return 1",
        "1",
    ),
    case(
        "files without end",
        "import os\ndef f():\n    n = 0\n    while True:\n        os.dup(0)\n        n += 1",
        "exception OSError",
    ),
    case("a small address space", LIST_BOMB, "exception MemoryError", limits=SMALL),
]
