"""Programs a second through the sandbox, beside the ways without it. Mixed realistic programs, ten inputs each.

Every contender runs the same programs with the same inputs, on as many processors as there are workers.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import Queue
from tempfile import NamedTemporaryFile
from typing import Any

import docker

from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from synth.sandbox.rootfs import cached_rootfs
from synth.schemas.errors import SandboxUnavailable

MIXED = [
    """
import re
from collections import Counter
def f(n):
    words = re.findall(r"[a-z]+", "the quick brown fox jumps over the lazy dog " * (n + 1))
    return Counter(words).most_common(3)
""",
    """
import math
def f(n):
    return [p for p in range(2, 50 * n + 10) if all(p % d for d in range(2, math.isqrt(p) + 1))]
""",
    """
from dataclasses import dataclass, asdict
@dataclass(order=True)
class Item:
    price: float
    name: str
def f(n):
    items = [Item(price=i * 1.5 % 7, name=f"item {i}") for i in range(n + 20)]
    return [asdict(item) for item in sorted(items)[:5]]
""",
    """
import heapq
def f(n):
    graph = {i: [((i * 7 + j) % 60, j + 1) for j in range(1, 4)] for i in range(60)}
    seen, queue = {}, [(0, n)]
    while queue:
        cost, node = heapq.heappop(queue)
        if node not in seen:
            seen[node] = cost
            for other, more in graph[node]:
                heapq.heappush(queue, (cost + more, other))
    return seen
""",
    """
import json
from datetime import date, timedelta
def f(n):
    days = [str(date(2020, 1, 1) + timedelta(days=30 * i)) for i in range(n + 5)]
    return json.loads(json.dumps({"days": days, "count": len(days)}))
""",
    """
def f(n):
    a, b = "kitten" * (n % 3 + 1), "sitting" * (n % 4 + 1)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]
""",
    """
from itertools import groupby, permutations
def f(n):
    found = sorted(permutations(range(4), 3), key=lambda p: sum(p) * n % 5)
    return [(key, len(list(group))) for key, group in groupby(found, key=lambda p: sum(p) * n % 5)]
""",
    """
def f(n):
    if n % 4 == 3:
        raise ValueError(n)
    return {"even": n % 2 == 0, "text": "-".join(str(n * i) for i in range(30)), "pair": (n, n / 3)}
""",
]
TRIVIAL = ["def f(n): return n + 1"]
INPUTS: list[tuple[list[Any], dict[str, Any]]] = [([n], {}) for n in range(10)]
# What a harness without a sandbox does in a fresh interpreter: run the program, call it, print what it gave.
HARNESS = """
import json, sys
source, inputs = json.load(sys.stdin)
space = {}
exec(source, space)
for args, kwargs in inputs:
    try: print(repr(space["f"](*args, **kwargs)))
    except Exception as error: print(type(error).__name__)
"""
PRELUDE = "import copy, json, os, shutil, subprocess, sys\nos.fork = os.kill = os.system = shutil.rmtree = None\n"
DRIVER = """
results = []
for args, kwargs in {inputs}:
    try: results.append(repr(f(*copy.deepcopy(args), **kwargs)))
    except Exception as error: results.append(str(type(error)) + str(error))
print(json.dumps(results))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=6.0, help="for each contender")
    arguments.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments.add_argument("--jails", nargs="+", default=["docker", "bwrap", "landlock"])
    arguments.add_argument(
        "--soak", type=int, help="only this: so many programs through the first jail, and its memory"
    )
    given = arguments.parse_args()
    if given.soak:
        asyncio.run(soak(given.jails[0], given.workers, given.soak))
        return
    print(f"{'contender':44} {'mixed/s':>9} {'trivial/s':>10} {'host ms':>8} {'p50 ms':>7} {'p99 ms':>7}")
    for jail in given.jails:
        try:
            mixed = asyncio.run(through(jail, MIXED, given.workers, given.seconds))
            trivial = asyncio.run(through(jail, TRIVIAL, given.workers, given.seconds))
            say(f"sandbox, {jail}", mixed, trivial)
        except SandboxUnavailable as error:
            print(f"sandbox, {jail}: left out: {error}")
    python = [sys.executable, "-I", "-S", "-c", HARNESS]
    say("a fresh process per program", *both(lambda source: call(python, source, INPUTS), given))
    say("a script in a fresh interpreter, as published", *both(run_script, given))
    if shutil.which("bwrap"):
        walls = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", str(cached_rootfs()), "/"]
        inside = [*walls, "--setenv", "LD_LIBRARY_PATH", "/lib", "--", "/python/bin/python3", "-I", "-S", "-c", HARNESS]
        say("bwrap and python per program", *both(lambda source: call(inside, source, INPUTS), given))
    if "docker" in given.jails:
        with closing(docker.from_env()) as engine:
            if images := engine.images.list("synth-sandbox"):
                beside_docker(engine, images[0].tags[0], given)


def beside_docker(engine: docker.DockerClient, image: str, given: argparse.Namespace) -> None:
    """A container for each program, and a command for each program in a container that stays."""
    settings: dict[str, Any] = {"network_mode": "none", "environment": {"LD_LIBRARY_PATH": "/lib"}}
    python = [
        "/python/bin/python3",
        "-I",
        "-S",
        "-c",
        HARNESS.replace("json.load(sys.stdin)", "json.loads(sys.argv[1])"),
    ]

    def command(source: str) -> list[str]:
        return [*python, json.dumps([source, INPUTS])]

    waiting = ["/python/bin/python3", "-c", "import time; time.sleep(3600)"]
    stays = [engine.containers.run(image, waiting, detach=True, **settings) for _ in range(given.workers)]
    idle = Queue[Any]()
    for container in stays:
        idle.put(container)

    def execute(source: str) -> None:
        container = idle.get()
        assert container.exec_run(command(source)).exit_code == 0
        idle.put(container)

    try:
        say("docker exec per program", *both(execute, given))
    finally:
        for container in stays:
            container.remove(force=True)
    say(
        "a container per program",
        *both(lambda source: engine.containers.run(image, command(source), remove=True, **settings), given),
    )


def say(name: str, mixed: tuple[float, ...], trivial: tuple[float, ...]) -> None:
    rest = "".join(f" {figure:{width}.2f}" for figure, width in zip(mixed[1:], (8, 7, 7), strict=False))
    print(f"{name:44} {mixed[0]:9.1f} {trivial[0]:10.1f}{rest}", flush=True)


async def through(jail: str, programs: list[str], workers: int, seconds: float) -> tuple[float, ...]:
    """Programs a second, milliseconds of this process's own processor time for each, and how long one takes."""
    took: list[float] = []
    async with Sandbox(jail, workers) as sandbox:
        for source in programs:
            assert (await sandbox.answer(Program.of(source, "f", INPUTS))).status == "ok", source
        until = time.perf_counter() + seconds

        async def client(number: int) -> None:
            while time.perf_counter() < until:
                started = time.perf_counter()
                verdict = await sandbox.answer(Program.of(programs[(number + len(took)) % len(programs)], "f", INPUTS))
                took.append(time.perf_counter() - started)
                assert verdict.status == "ok"

        used, started = time.process_time(), time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(workers)))
        used, passed = time.process_time() - used, time.perf_counter() - started
    took.sort()
    quantiles = [1000 * took[int(len(took) * part)] for part in (0.5, 0.99)]
    return len(took) / passed, 1000 * used / len(took), *quantiles


async def soak(jail: str, workers: int, programs: int) -> None:
    """Memory and descriptors of this process, every tenth of the way; one program in seven crashes."""
    crash = "import os\ndef f(n): os.abort()"
    async with Sandbox(jail, workers) as sandbox:
        todo = iter(range(programs))

        async def client() -> None:
            for number in todo:
                await sandbox.answer(Program.of(crash if number % 7 == 0 else MIXED[number % len(MIXED)], "f", INPUTS))
                if number % (programs // 10) == 0:
                    print(f"{number:9,} programs  {of_this_process()}", flush=True)

        await asyncio.gather(*(client() for _ in range(workers)))


def of_this_process() -> str:
    mebibytes = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
    return f"host {mebibytes} MiB, {len(list(Path('/proc/self/fd').iterdir()))} descriptors"


def both(run: Callable[[str], Any], given: argparse.Namespace) -> Iterable[tuple[float, ...]]:
    return [rate(run, programs, given.workers, given.seconds) for programs in (MIXED, TRIVIAL)]


def rate(run: Callable[[str], Any], programs: list[str], workers: int, seconds: float) -> tuple[float, ...]:
    done = 0
    started = time.perf_counter()

    def client(number: int) -> int:
        count = 0
        while time.perf_counter() < started + seconds:
            run(programs[(number + count) % len(programs)])
            count += 1
        return count

    with ThreadPoolExecutor(workers) as threads:
        done = sum(threads.map(client, range(workers)))
    return (done / (time.perf_counter() - started),)


def call(command: list[str], source: str, inputs: list[Any]) -> None:
    subprocess.run(command, input=json.dumps([source, inputs]).encode(), stdout=subprocess.DEVNULL, check=True)


def run_script(source: str) -> None:
    """As the published harness does: a script made of a prelude, the function, its inputs and a driver."""
    with NamedTemporaryFile("w", suffix=".py") as file:
        file.write(f"{PRELUDE}{source}\n{DRIVER.format(inputs=INPUTS)}")
        file.flush()
        subprocess.run([sys.executable, file.name], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
