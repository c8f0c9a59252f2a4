"""Programs that try to see or reach outside the jail: network, files, environment, descriptors. Rows 31 to 38 and 42."""

# ruff: noqa: E501  long lines of programs

from tests.hostile.case import TRIED, case

CASES = [
    case(
        "sockets of every family",
        TRIED
        + "import socket\ndef f():\n    return tried(**{f'{family}/{kind}': lambda a=family, k=kind: socket.socket(a, k)\n"
        "        for family in range(46) for kind in (1, 2, 3, 5)})",
        "[]",
    ),
    case(
        "connections",
        TRIED + "import socket\ndef f():\n    return tried(\n"
        "        tcp=lambda: socket.create_connection(('127.0.0.1', 22), 0.2),\n"
        "        listen=lambda: socket.create_server(('127.0.0.1', 0)),\n"
        "        names=lambda: socket.getaddrinfo('localhost', 80) and socket.getaddrinfo('example.org', 80),\n"
        "        fetch=lambda: __import__('urllib.request').request.urlopen('http://127.0.0.1:1', timeout=0.2))",
        "[]",
    ),
    case(
        "datagrams from a pair of sockets",
        TRIED + "import socket\ndef f():\n    a, b = socket.socketpair()\n    return tried(\n"
        "        datagrams=lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),\n"
        "        inet=lambda: socket.socketpair(socket.AF_INET),\n"
        "        bind=lambda: a.bind('\\0name'), connect=lambda: a.connect('\\0name'),\n"
        "        path=lambda: a.connect('/run/systemd/notify'), to=lambda: a.sendto(b'x', '\\0name'),\n"
        "        message=lambda: a.sendmsg([b'x']), descriptors=lambda: socket.send_fds(a, [b'x'], [0]))",
        "[]",
    ),
    case(
        "files of the machine",
        TRIED
        + "import glob, os\ndef f():\n    names = ['/etc/passwd', '/etc/shadow', '/etc/hostname', '/etc/machine-id',\n"
        "        '/home', '/root', '/', '/etc', '/proc', '/sys', '/dev', '/usr', '/var',\n"
        "        '/tmp', '/proc/self/environ', '/proc/1/environ', '/proc/self/status', '/proc/mounts', '/proc/version',\n"
        "        '/proc/cpuinfo', '/sys/kernel', '/var/run/docker.sock', '/run/docker.sock', '/dev/random', '/dev/urandom',\n"
        "        '/dev/null', '/bin/sh', '.', '..']\n"
        "    return tried(**{n: lambda n=n: os.open(n, os.O_RDONLY) for n in names}), glob.glob('/proc/*/environ')",
        "([], [])",
    ),
    case(
        "the worker's source",
        "import inspect, sys\ndef f():\n    frame = sys._getframe()\n    while frame.f_back: frame = frame.f_back\n"
        "    try: inspect.getsource(frame)\n    except OSError: return 'not a file'",
        "'not a file'",
    ),
    case(
        "a secret in the host's environment",
        "import os\ndef f(): return sorted(os.environ), [v for v in os.environ.values() if 'canary' in v]",
        "(['LC_ALL', 'TZ'], [])",
    ),
    case(
        "descriptors of other processes",
        TRIED
        + "import os\ndef f():\n    return tried(**{f'/proc/{p}/fd/{d}': lambda p=p, d=d, w=w: os.open(f'/proc/{p}/fd/{d}', w)\n"
        "        for p in (1, os.getppid()) for d in range(70) for w in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)})",
        "[]",
    ),
    case(
        "descriptors of its own",
        TRIED + "import os\ndef f(): return tried(**{str(n): lambda n=n: os.fstat(n) for n in range(2048)})",
        "['0', '1', '2', '3']",
    ),
    case(
        "writing",
        TRIED
        + "import os, sys\ndef f():\n    places = ['/', '/tmp', '/var/tmp', '/dev/shm', '/dev', '/run', '/python', '/lib', sys.prefix,\n"
        "        os.path.dirname(os.__file__), '/proc', '/sys', '.']\n"
        "    return tried(null=lambda: open('/dev/null', 'w'), zero=lambda: open('/dev/zero', 'r+'),\n"
        "        source=lambda: open(os.__file__, 'a'), truncate=lambda: os.truncate(os.__file__, 0),\n"
        "        **{p: lambda p=p: open(os.path.join(p, 'x'), 'w') for p in places},\n"
        "        **{'dir ' + p: lambda p=p: os.mkdir(os.path.join(p, 'x')) for p in places},\n"
        "        **{'unnamed ' + p: lambda p=p: os.open(p, os.O_TMPFILE | os.O_RDWR) for p in places})",
        "[]",
    ),
    case("a temporary file", "import tempfile\ndef f(): tempfile.TemporaryFile()", "exception *Error"),
    case(
        "filling the disk",
        "def f():\n    for n in range(100_000): open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))",
        "exception *Error",
    ),
    case(
        "changes to files",
        TRIED
        + "import os\ndef f():\n    s = os.__file__\n    return tried(symlink=lambda: os.symlink(s, '/x'), link=lambda: os.link(s, '/x'),\n"
        "        rename=lambda: os.rename(s, s + 'x'), chmod=lambda: os.chmod(s, 0o777), fifo=lambda: os.mkfifo('/x'),\n"
        "        unlink=lambda: os.unlink(s), rmdir=lambda: os.rmdir('/tmp'), utime=lambda: os.utime(s), chown=lambda: os.chown(s, 0, 0),\n"
        "        chdir=lambda: os.chdir('/tmp'), chroot=lambda: os.chroot('/'), setxattr=lambda: os.setxattr(s, 'user.x', b''),\n"
        "        setuid=lambda: os.setuid(0), nice=lambda: os.nice(-5), umask=lambda: os.umask(0) or os.open('/x', os.O_CREAT))",
        "[]",
    ),
    case(
        "devices, cgroups and settings of the kernel",
        TRIED + "import os\ndef f():\n    return tried(node=lambda: os.mknod('/x', 0o20666, os.makedev(1, 1)),\n"
        "        **{f'{n} {w}': lambda n=n, w=w: os.open(n, w) for w in (0, 1, 2) for n in ('/dev/kmsg', '/dev/mem', '/dev/kvm', '/dev/sda',\n"
        "        '/dev/vda', '/dev/tty', '/dev/ptmx', '/dev/fuse', '/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern',\n"
        "        '/proc/self/oom_score_adj', '/sys/fs/cgroup/cgroup.procs', '/sys/kernel/uevent_helper', '/proc/kcore')})",
        "[]",
    ),
    case(
        "locks on shared files",
        TRIED
        + "import fcntl, os\ndef f():\n    d = os.open(os.__file__, 0)\n    return tried(flock=lambda: fcntl.flock(d, fcntl.LOCK_EX),\n"
        "        shared=lambda: fcntl.flock(d, fcntl.LOCK_SH), posix=lambda: fcntl.lockf(d, fcntl.LOCK_SH),\n"
        "        lease=lambda: fcntl.fcntl(d, fcntl.F_SETLEASE, 0), notify=lambda: fcntl.fcntl(d, fcntl.F_NOTIFY, 1))",
        "[]",
    ),
    case(
        "shared memory and queues",
        TRIED
        + "import ctypes\nfrom multiprocessing import shared_memory\ndef f():\n    c = ctypes.CDLL(None, use_errno=True)\n"
        "    return tried(named=lambda: shared_memory.SharedMemory('x', True, 10)), [\n"
        "        c.syscall(n, 1234, 4096, 0o1666) for n in (29, 64, 68, 240)]",
        "([], [-1, -1, -1, -1])",
    ),
    case(
        "terminals",
        TRIED
        + "import fcntl, os\ndef f():\n    return tried(push=lambda: fcntl.ioctl(0, 0x5412, b'x'), linux=lambda: fcntl.ioctl(0, 0x541c, b'x'),\n"
        "        pty=lambda: os.openpty(), session=lambda: os.setsid())",
        "[]",
    ),
    case(
        "a library that honest programs use, read from the jail's own files",
        "def f():\n    import colorsys, decimal, sqlite3\n    return sqlite3.connect(':memory:').execute('select 1 + 1').fetchone()",
        "(2,)",
    ),
]
