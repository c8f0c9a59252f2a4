"""What the benchmarks share: contenders in processes of their own, medians over rounds, and one plain table.

Nothing heavy is imported here: a child's peak memory is counted from the size of the process that started it.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
SYNTH = str(Path(sys.executable).with_name("synth"))
MIB = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """How a command ended: seconds from exec to exit, seconds of CPU, peak MiB of its largest process, its output."""

    seconds: float
    cpu: float
    peak: float
    output: str
    fault: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON of the last line that a driver prints."""
        report: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return report


@dataclass(frozen=True)
class Contender:
    """A driver that answers every row once: `command INPUT OUT [--base-url URL]`, over `share` of the rows.

    A slow one gets a share of the rows that is large enough for its rate to show.
    """

    name: str
    command: Sequence[str]
    share: float = 1.0

    def missing(self) -> str:
        """What there is to do before it can run, or nothing."""
        return "" if Path(self.command[0]).exists() else "not installed: make peers"


def ours(*options: str) -> list[Contender]:
    """`synth` and the loop without a framework, in the environment of this script."""
    drivers = (("synth", "ask_once.py"), ("bare loop", "bare_loop.py"))
    return [
        Contender(" ".join([name, *options]), [sys.executable, str(HERE / driver), *options])
        for name, driver in drivers
    ]


def earlier(checkouts: Iterable[Path]) -> list[Contender]:
    """`synth` as it is in other checkouts, in the same environment."""
    found = []
    for checkout in checkouts:
        tree = checkout.resolve()
        packages = f"PYTHONPATH={tree / '.src'}:{tree}"
        command = [shutil.which("env") or "env", packages, sys.executable, str(tree / "benchmarks" / "ask_once.py")]
        found.append(Contender(f"synth in {checkout.name}", command))
    return found


def rival(name: str, driver: str, peers_python: str, *options: str, share: float = 1.0) -> Contender:
    return Contender(name, [peers_python, str(HERE / "rivals" / driver), *options], share)


def run_apart(command: Sequence[str], **environment: str) -> Outcome:
    """Run a command to its end. One that fails is an outcome, too: its fault is what it said last."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as talk:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=talk, env={**os.environ, **environment})
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        for file in (output, talk):
            file.seek(0)
        said, last_words = (file.read().decode(errors="replace").strip() for file in (output, talk))
    fault = f"exit {child.returncode}: {last_words[-500:]}" if child.returncode else ""
    return Outcome(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said, fault)


def run_watched(command: Sequence[str]) -> tuple[Outcome, float]:
    """The same, and the peak MiB that it and what it started had of their own (RssAnon), looked at 50 times a second.

    Other than in what is resident, mapped files are not in it: the system takes their pages back when it needs them.
    """
    peak = 0
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_apart, command)
        while not running.done():
            peak = max(peak, sum(map(_own_kib, started_by(os.getpid()))))
            time.sleep(0.02)
    outcome = running.result()
    if outcome.fault:
        raise SystemExit(f"{shlex.join(command)}: {outcome.fault}")
    return outcome, peak / 1024


def started_by(pid: int) -> Iterator[int]:
    with suppress(OSError):  # It has ended meanwhile.
        for task in Path(f"/proc/{pid}/task").iterdir():
            for started in map(int, (task / "children").read_text().split()):
                yield started
                yield from started_by(started)


def _own_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1])
    return 0


def call_apart(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a function of a script returns in a new process, and the peak memory of that process in MiB."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, function, arguments))
    child.start()
    sender.close()
    try:
        returned: tuple[Any, float] = receiver.recv()
    except EOFError:
        raise SystemExit(f"{function.__name__} has died") from None
    finally:
        child.join()
    return returned


def _send(sender: Any, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    import resource

    result = function(*arguments)
    sender.send((result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def rows_in(folder: Path, rows: int) -> Path:
    """A folder with `rows` questions of about 200 characters, as rows.arrow and the same as rows.jsonl."""
    made = folder / f"{rows}-rows"
    if not made.exists():
        made.mkdir()
        call_apart(_write_rows, made, rows)
    return made


def _write_rows(folder: Path, rows: int) -> None:
    import pyarrow as pa

    # The loopback server takes its time over a `slow` one: four among 2,000.
    made = [
        {"id": f"row-{number}", "query": QUESTION.format(number, "slow" if number % 500 == 250 else "plain")}
        for number in range(rows)
    ]
    table = pa.Table.from_pylist(made)
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=16_384)
    with (folder / "rows.jsonl").open("w") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in made)


QUESTION = (
    "Order {0} of a {1} bakery names 12 trays of 6 buns, of which a third are sold before noon and half of the rest "
    "in the afternoon. How many of the buns of this order are left when the shop is closed in the evening?"
)


def write_dataset(folder: Path, schema: Any, shards: Sequence[Iterable[Any]]) -> None:
    """A dataset directory as `datasets` leaves one: each shard an Arrow stream of its record batches."""
    import pyarrow as pa

    folder.mkdir()
    names = [f"data-{shard:05d}-of-{len(shards):05d}.arrow" for shard in range(len(shards))]
    for name, batches in zip(names, shards, strict=True):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")


class Rounds:
    """What was measured of each contender, round by round; a figure is the median of its rounds.

    A contender that has failed once is out, and whoever reads the table is told.
    """

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], list[float]] = {}
        self._failed: set[str] = set()

    def add(self, contender: Contender, **figures: float) -> None:
        for name, value in figures.items():
            self._figures.setdefault((contender.name, name), []).append(value)

    def fail(self, contender: Contender, fault: str) -> None:
        self._failed.add(contender.name)
        say(f"{contender.name} failed: {fault}")

    def problem(self, contender: Contender) -> str:
        """Why there are no figures of it, or nothing."""
        return contender.missing() or ("failed" if contender.name in self._failed else "")

    def figure(self, contender: Contender, name: str) -> float:
        return median(self._figures.get((contender.name, name), [float("nan")]))

    def ratio(self, contender: Contender, other: Contender, name: str) -> float:
        """The median of the ratios of each round, which drifts less than that of the medians."""
        pairs = zip(*(self._figures.get((one.name, name), ()) for one in (contender, other)), strict=False)
        return median([mine / theirs for mine, theirs in pairs] or [float("nan")])


def parser(doc: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_earlier_option(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--earlier", type=Path, action="append", default=[], metavar="CHECKOUT", help="another version to run in turn"
    )


def add_peers_option(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--peers-python", default=str(ROOT / ".venv-peers" / "bin" / "python"), help="the python of `make peers`"
    )


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside nothing else, under TMPDIR, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="synth-bench-") as folder:
        yield Path(folder)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (columns, ["-" * width for width in widths], *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    print(f"\n{machine()}: {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}", flush=True)


def machine() -> str:
    """The load average tells a reader how much else went on."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def multiple(value: float) -> str:
    return "-" if value != value else f"{value:.2f}" if value < 10 else f"{value:,.0f}"
