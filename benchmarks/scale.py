"""What a billion rows ask of one driver and one file system, for 1, 64 and 1,024 GPUs, and what gives way first.

All constants are measured in the same run. Leases: `drive()` with workers that answer at once, in this process and as
actors on a simulated Ray cluster. A chunk: the same rows in small chunks and in large ones, the difference divided by
the number of chunks; its system calls are counted by strace in the same way. Appends: those of a worker whose engine
takes its time. The rest is publication, the input, and what the driver holds in memory. The file system is that of
TMPDIR: name a folder of a shared one to see how that does.
"""

import asyncio
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from contest import HERE, MIB, ROOT, call_apart, parser, print_table, rows_in, run_apart, run_watched, say, scratch
from many_ids import READ, write_ids
from many_rows import CHUNK_ROWS, publish, timed, write_chunks

sys.path.insert(0, str(ROOT))

ROWS = 1_000_000_000
GPUS = (1, 64, 1024)
ROWS_PER_SECOND = 20  # of a GPU
CHUNKS = -(-ROWS // CHUNK_ROWS)
# A row of one kilobyte.
PADDING = " and eight" * 90
DATA_FILES = -(-ROWS // 262_144)
MOST_MAPPED_FILES = 65_530
ON_RAY = "2 actors on Ray"
CHANGED = "made, renamed, linked or removed"
CALLS = {
    "opened": ("open", "openat"),
    "looked at": ("newfstatat", "stat", "lstat", "access", "readlink"),
    CHANGED: ("mkdir", "rename", "link", "unlink", "unlinkat", "rmdir"),
    "listed": ("getdents64",),
    "synced": ("fsync",),
}


@dataclass(frozen=True)
class Measured:
    """Seconds and bytes are of one chunk unless something else is said."""

    leases: Mapping[str, float]  # a second
    chunk_seconds: float
    calls: Mapping[str, float]
    changes: float  # small files made, renamed and removed in a second
    syncs: float  # a second
    worker_appends: float  # a second, of one worker
    appends: float  # a second
    restored: float  # seconds
    published: float  # seconds
    record_bytes: float
    entry_bytes: Mapping[str, float]  # of a data file, by the name of the file that lists it
    input_seconds: float  # of a row
    input_memory: float  # MiB
    chunk_memory: float  # bytes
    observed: float  # seconds of the driver for each worker and report


def main() -> None:
    parser(__doc__).parse_args()
    if not shutil.which("strace"):
        raise SystemExit("strace, which counts the system calls of a chunk, is not installed")
    with scratch() as folder:
        measured = measure(folder)
    print_measured(measured)
    print_model(measured)
    print_limits(measured)


def measure(folder: Path) -> Measured:
    say("leases")
    leases = {f"{workers} workers": leases_per_second([AtOnce()] * workers, 50_000) for workers in (2, 16, 48, 1024)}
    with on_ray(2) as workers:
        leases_per_second(workers, 100)  # so that all of Ray has been used once
        leases[ON_RAY] = leases_per_second(workers, 10_000)
    say("a chunk")
    seconds, calls = chunk_costs(folder)
    say("journals")
    changes, syncs, appends = file_rates(folder)
    worker_appends, _ = call_apart(appends_of_a_worker, rows_in(folder, 3_200), folder / "slow")
    say("input")
    call_apart(write_ids, folder / "ids", 5_000_000)
    read, own = run_watched([sys.executable, "-c", READ, str(folder / "ids"), str(folder / "read")])
    say("publication")
    out, chunks = folder / "out", 256
    call_apart(write_chunks, out, chunks * CHUNK_ROWS, PADDING)
    restored, _ = call_apart(timed, restore, out)
    record = record_size(out)
    published, _ = call_apart(timed, publish, out, chunks * CHUNK_ROWS)
    files = len(list(out.glob("*.arrow")))
    listed = {name: (out / name).stat().st_size / files for name in ("synth.json", "state.json")}
    memory, _ = call_apart(memory_of_chunks)
    return Measured(
        leases, seconds, calls, changes, syncs, worker_appends, appends, restored / chunks, published / chunks, record,
        listed, read.seconds / 5_000_000, own, memory, seconds_to_observe(),
    )  # fmt: skip


def leases_per_second(workers: Sequence[Any], number: int) -> float:
    """Of a driver that settles outcomes as that of a run does."""
    from synth.pipelines.runtime.chunk import Trail
    from synth.pipelines.runtime.counts import Counts
    from synth.pipelines.runtime.drive import Lease, Leases, drive

    chunks, total = chunk_objects(number), Counts()

    def settle(outcome: Any) -> None:
        chunk = chunks[outcome.chunk]
        chunk.adopt(outcome.journals, outcome.counts, outcome.failures)
        chunk.add_to(total)

    async def run() -> float:
        leases = Leases(range(number), Lease, lambda _: Trail())
        started = time.perf_counter()
        await drive(leases, workers, 3, settle)
        return number / (time.perf_counter() - started)

    return asyncio.run(run())


def chunk_objects(number: int) -> list[Any]:
    from synth.pipelines.runtime.chunk import Chunk
    from synth.schemas.layout import PartialLayout

    place: Any = PartialLayout(Path("out.partial"))
    nothing: Any = None
    return [
        Chunk(chunk, nothing, chunk * CHUNK_ROWS, (chunk + 1) * CHUNK_ROWS, nothing, place) for chunk in range(number)
    ]


class AtOnce:
    """A worker, here or as an actor, for which there is nothing to do."""

    async def ready(self) -> None:
        pass

    async def work(self, lease: Any) -> Any:
        from synth.pipelines.runtime.counts import Counts
        from synth.pipelines.runtime.drive import ChunkOutcome

        await asyncio.sleep(0)
        return ChunkOutcome(lease.chunk, "", Counts(produced=CHUNK_ROWS), is_published=True)


class Elsewhere(AtOnce):
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def work(self, lease: Any) -> Any:
        return await self._actor.work.remote(lease)


@contextmanager
def on_ray(workers: int) -> Iterator[list[Elsewhere]]:
    from tests.cluster.simulated import simulated

    with simulated(workers) as cluster:
        import ray

        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        actor = ray.remote(AtOnce).options(num_cpus=1, max_concurrency=1000)
        yield [Elsewhere(actor.remote()) for _ in range(workers)]
        ray.shutdown()


def chunk_costs(folder: Path) -> tuple[float, Mapping[str, float]]:
    """Seconds and system calls of a chunk."""
    few, many, rounds = 640, 16, []
    for number in range(3):
        seconds = [run_apart(asking(folder, 20_000, size, number)).report["seconds"] for size in (many, few)]
        rounds.append((seconds[0] - seconds[1]) / (20_000 / many - 20_000 / few))
    counted = [calls_of(asking(folder, 6_400, size, 9), folder / "calls") for size in (many, few)]
    chunks = 6_400 / many - 6_400 / few
    return median(rounds), {name: (counted[0][name] - counted[1][name]) / chunks for name in CALLS}


def asking(folder: Path, rows: int, chunk_rows: int, number: int) -> list[str]:
    out = folder / f"{rows}-in-{chunk_rows}-{number}"
    return [
        sys.executable,
        str(HERE / "ask_once.py"),
        str(rows_in(folder, rows)),
        str(out),
        f"--chunk-rows={chunk_rows}",
    ]


def calls_of(command: Sequence[str], report: Path) -> dict[str, int]:
    names = ",".join(name for group in CALLS.values() for name in group)
    outcome = run_apart(["strace", "-f", "-c", "-e", f"trace={names}", "-o", str(report), *command])
    if outcome.fault:
        raise SystemExit(outcome.fault)
    # % time, seconds, microseconds of a call, calls, perhaps errors, name
    lines = [line.split() for line in report.read_text().splitlines() if re.match(r" *\d", line)]
    counts = {line[-1]: int(line[3]) for line in lines}
    return {group: sum(counts.get(name, 0) for name in names) for group, names in CALLS.items()}


def file_rates(folder: Path) -> tuple[float, float, float]:
    """Changes of small files, syncs of files with a new line, and appends to a journal, each in a second."""
    from synth.schemas.answers import ANSWERS
    from synth.schemas.journal import Journal

    def per_second(number: int, function: Callable[[int], object]) -> float:
        started = time.perf_counter()
        for index in range(number):
            function(index)
        return number / (time.perf_counter() - started)

    def change(index: int) -> None:
        path = folder / f"small-{index}"
        path.write_bytes(b"")
        path.rename(folder / "renamed").unlink()

    journal = Journal(folder / "journal", ANSWERS)
    with (folder / "synced").open("w") as file:

        def sync(_: int) -> None:
            print("a line", file=file, flush=True)
            os.fsync(file.fileno())

        rates = 3 * per_second(3_000, change), per_second(300, sync)
    appends = per_second(5_000, lambda index: journal.write([(f"row-{index}", bytes(16), b"a" * 250, b"b" * 150)]))
    journal.close()
    return *rates, appends


def appends_of_a_worker(source: Path, out: Path) -> float:
    """Appends to journals in a second, while the rows of one chunk are processed."""
    from ask_once import AskOnce

    from synth.pipelines.engines.echo import EchoEngine
    from synth.pipelines.runtime.runner import Options, Run
    from synth.schemas.journal import Journal

    appends, append = [], Journal.append

    def count(journal: Journal, batch: Any) -> None:
        appends.append(time.perf_counter())
        append(journal, batch)

    Journal.append = count  # type: ignore[method-assign]
    options = Options(in_flight=64, chunk_rows=CHUNK_ROWS, keep_answers=False)
    Run(AskOnce(), [str(source / "rows.arrow")], out, options, engine=EchoEngine(delay=0.2)).execute()
    return (len(appends) - 1) / (appends[-1] - appends[0])


def restore(out: Path) -> None:
    """Read what a driver reads that goes on with a run: the record of each published chunk."""
    from synth.pipelines.runtime.chunk import Chunk
    from synth.schemas.layout import Layout

    layout, nothing = Layout(out).partial, None
    for number in layout.published_chunks():
        chunk = Chunk(number, nothing, 0, CHUNK_ROWS, nothing, layout)
        published = chunk.published()
        assert published
        assert chunk.is_whole(published)
        chunk.tidy(published)


def record_size(out: Path) -> float:
    """Bytes of the record of a chunk."""
    from synth.schemas.layout import Layout

    layout = Layout(out).partial
    return median(layout.published(number).stat().st_size for number in layout.published_chunks())


def memory_of_chunks() -> float:
    """Bytes of the driver for each chunk."""
    import tracemalloc

    from synth.pipelines.runtime.drive import Leases

    number = 50_000
    chunk_objects(1)
    tracemalloc.start()
    held = chunk_objects(number), Leases(range(number), lambda chunk: chunk, lambda _: None)
    used, _ = tracemalloc.get_traced_memory()
    del held
    return used / number


def seconds_to_observe() -> float:
    """For each worker, what adding up what they do takes."""
    from synth.pipelines.runtime.observation import Observation

    started, seen = time.perf_counter(), Observation(1)
    for _ in range(10_000):
        seen = seen.plus(Observation(1, answers=1))
    return (time.perf_counter() - started) / 10_000


def print_measured(measured: Measured) -> None:
    lines = [
        *((f"leases/s of one driver, {name}", f"{rate:,.0f}") for name, rate in measured.leases.items()),
        ("overhead of a chunk, ms", f"{measured.chunk_seconds * 1000:.1f}"),
        *((f"files {name} for a chunk", f"{count:.1f}") for name, count in measured.calls.items()),
        ("small files made, renamed or removed a second", f"{measured.changes:,.0f}"),
        ("files synced a second", f"{measured.syncs:,.0f}"),
        ("appends to journals a second that a worker makes", f"{measured.worker_appends:.1f}"),
        ("appends of an answer to a journal a second", f"{measured.appends:,.0f}"),
        ("reading the input, million rows/s", f"{1e-6 / measured.input_seconds:.1f}"),
        ("publishing a chunk of 4 MB, ms", f"{measured.published * 1000:.1f}"),
        ("taking a published chunk over on resume, ms", f"{measured.restored * 1000:.2f}"),
    ]
    print_table("Measured", ["what", "figure"], lines)


def run_seconds(gpus: int) -> float:
    return ROWS / (ROWS_PER_SECOND * gpus)


def asked_per_second(measured: Measured, gpus: int) -> dict[str, tuple[float, float]]:
    """What a run asks for in a second, and what was measured here. A report is a call of an actor, as a lease is."""
    from synth.pipelines.runtime.cluster.crew import MOST_REPORTS

    chunks = CHUNKS / run_seconds(gpus)
    return {
        "leases": (chunks, measured.leases[ON_RAY]),
        "reports of workers": (min(gpus, MOST_REPORTS), measured.leases[ON_RAY]),
        "workers added up for progress": (2 * gpus, 1 / measured.observed),
        f"files {CHANGED}": (chunks * measured.calls[CHANGED], measured.changes),
        "files synced": (chunks * measured.calls["synced"], measured.syncs),
        "appends to journals": (gpus * measured.worker_appends, measured.appends),
    }


def alone(measured: Measured) -> dict[str, float]:
    """Seconds in which the driver works and workers wait."""
    return {
        "reading and checking the input": ROWS * measured.input_seconds,
        "publishing the output": CHUNKS * measured.published,
        "taking chunks over on resume": CHUNKS * measured.restored,
    }


def print_model(measured: Measured) -> None:
    asked = [asked_per_second(measured, gpus) for gpus in GPUS]
    lines = [["time", *(duration(run_seconds(gpus)) for gpus in GPUS), "-"]]
    for what, (_, here) in asked[0].items():
        lines.append([f"{what}, a second", *(f"{one[what][0]:,.2f}" for one in asked), f"{here:,.0f}"])
    sizes = {
        "memory of the driver for chunks, MB": CHUNKS * measured.chunk_memory / 1e6,
        "memory of the driver for ids, MiB": measured.input_memory,
        "records of chunks, MB": CHUNKS * measured.record_bytes / 1e6,
        "data files": DATA_FILES,
        **{f"{name}, MB": DATA_FILES * size / 1e6 for name, size in measured.entry_bytes.items()},
    }
    for what, text in [
        *((what, duration(seconds)) for what, seconds in alone(measured).items()),
        *((what, f"{size:,.1f}") for what, size in sizes.items()),
    ]:
        lines.append([what, *[text] * len(GPUS), "-"])
    print_table(
        f"{ROWS:,} rows of 1 kB in {CHUNKS:,} chunks, {ROWS_PER_SECOND} rows/s a GPU",
        ["what", *(f"{gpus:,} GPU{'s' * (gpus > 1)}" for gpus in GPUS), "measured here"],
        lines,
    )


def print_limits(measured: Measured) -> None:
    gpus = GPUS[-1]
    shares = {
        **{
            f"{what}, of what was measured": asked / here
            for what, (asked, here) in asked_per_second(measured, gpus).items()
        },
        **{f"{what}, of the time": seconds / run_seconds(gpus) for what, seconds in alone(measured).items()},
        "chunks and ids, of 16 GB of memory": (CHUNKS * measured.chunk_memory + (measured.input_memory * MIB)) / 16e9,
        "data files, of those that a process can map": DATA_FILES / MOST_MAPPED_FILES,
    }
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    print_table(
        f"What breaks first with {gpus:,} GPUs", ["what", "share"], [[what, f"{share:.1%}"] for what, share in ordered]
    )


def duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


if __name__ == "__main__":
    main()
