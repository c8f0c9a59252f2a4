"""How long a shell waits: seconds from exec to exit, the median of several runs, warm.

"First request" is the time from exec until a loopback server has the first request of a run over 10,000 rows, read off
the clock that both processes share. With `echo`, which nobody can watch from outside, it is the time until the output
of a run of one row appears, for which its folder is looked at 2,000 times a second. A repeated run is shown with what
the server was asked meanwhile, which must be nothing.

Python writes and reads bytecode as in any installation, whatever the environment says: compiling the modules of synth
anew would take longer than loading them.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from contest import (
    SYNTH,
    add_peers_option,
    call_apart,
    multiple,
    parser,
    print_table,
    run_apart,
    say,
    scratch,
    write_dataset,
)
from loopback import serving

ROWS = 10_000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=7)
    arguments.add_argument("--gigabytes", type=float, default=1.0, help="size of the dataset that is shown")
    add_peers_option(arguments)
    given = arguments.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    table: list[list[str]] = []
    with scratch() as folder:
        say("making the datasets")
        call_apart(write_large, folder / "large", given.gigabytes)
        write_questions(folder / "one.jsonl", 1)
        write_questions(folder / "many.jsonl", ROWS)

        def add(name: str, seconds: Sequence[float], bar: float | None = None) -> None:
            say(f"{name}: {median(seconds):.3f}")
            past = multiple(median(seconds) / bar) if bar else "-"
            row = [name, f"{median(seconds):.3f}", f"{min(seconds):.3f}", f"{max(seconds):.3f}"]
            table.append([*row, f"{bar}" if bar else "-", past])

        def runs(command: Sequence[str]) -> list[float]:
            _seconds(command)
            return [_seconds(command) for _ in range(given.runs)]

        add("synth --help", runs([SYNTH, "--help"]), 0.2)
        add("synth reject sample --help", runs([SYNTH, "reject", "sample", "--help"]))
        shown = [SYNTH, "show", str(folder / "large")]
        add(f"synth show, {given.gigabytes:g} GB, | head", [_piped(shown) for _ in range(given.runs)], 0.4)
        add(f"synth show --full -n 20, {given.gigabytes:g} GB, | head",
            [_piped([*shown, "--full", "-n", "20"]) for _ in range(given.runs)])  # fmt: skip
        one = [SYNTH, "reject", "sample", str(folder / "one.jsonl"), str(folder / "out"), "--engine", "echo", "-n", "1"]
        whole = [_first_row(one, folder / "out") for _ in range(given.runs + 1)][1:]
        add("first row of a run of one, echo", [published for published, _ in whole], 0.35)
        add("a whole run of one row, echo", [ended for _, ended in whole])
        many = [SYNTH, "reject", "sample", str(folder / "many.jsonl"), "-n", "1"]
        add(f"first request of {ROWS:,} rows", [_first_request(many, folder) for _ in range(given.runs)])
        repeated, asked = _repeat(many, folder, given.runs)
        add(f"a finished run of {ROWS:,} rows again, {asked} requests", repeated, 0.5)

        add("python -c pass", runs([sys.executable, "-c", "pass"]))
        for module in ("pyarrow", "typer", "datasets"):
            add(f"import {module}", runs([sys.executable, "-c", f"import {module}"]))
        for name, command in _peers(given.peers_python):
            if Path(command[0]).exists():
                add(name, runs(command))
            else:
                table.append([name, "not installed: make peers", "-", "-", "-", "-"])
    columns = ["what", "median, s", "fastest", "slowest", "bar, s", "of the bar"]
    print_table(f"Start-up, {given.runs} runs each", columns, table)


def _peers(python: str) -> list[tuple[str, list[str]]]:
    return [
        ("distilabel --help", [str(Path(python).with_name("distilabel")), "--help"]),
        ("import distilabel.pipeline", [python, "-c", "import distilabel.pipeline"]),
        ("import datatrove's inference", [python, "-c", "import datatrove.pipeline.inference.run_inference"]),
        ("import curator", [python, "-c", "import bespokelabs.curator"]),
    ]


def _seconds(command: Sequence[str]) -> float:
    outcome = run_apart(command, TELEMETRY_ENABLED="false")
    if outcome.fault:
        raise SystemExit(f"{' '.join(command)}: {outcome.fault}")
    return outcome.seconds


def _piped(command: Sequence[str]) -> float:
    """Seconds until `command | head` has ended, both of them."""
    started = time.perf_counter()
    shown = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    head = subprocess.run(["head"], stdin=shown.stdout, stdout=subprocess.PIPE, check=True)
    if shown.stdout:
        shown.stdout.close()
    shown.wait()
    if not head.stdout:
        raise SystemExit(f"{' '.join(command)} shows nothing")
    return time.perf_counter() - started


def _first_row(command: Sequence[str], out: Path) -> tuple[float, float]:
    """Seconds until the output is there, and until the process has ended."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not out.exists() and child.poll() is None:
        time.sleep(0.0005)
    published = time.perf_counter() - started
    if child.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    return published, time.perf_counter() - started


def _first_request(command: Sequence[str], folder: Path) -> float:
    with serving() as server:
        started = time.monotonic()
        _seconds([*command, str(folder / "first"), "--base-url", server.base_url, "--model", "loopback", "--fresh"])
        return float(server.counts()["first"]) - started


def _repeat(command: Sequence[str], folder: Path, runs: int) -> tuple[list[float], int]:
    """Seconds of each repetition of a finished run, and the requests that all of them sent."""
    with serving() as server:
        whole = [*command, str(folder / "finished"), "--base-url", server.base_url, "--model", "loopback"]
        _seconds(whole)
        before = server.counts()["requests"]
        repeated = [_seconds(whole) for _ in range(runs)]
        return repeated, server.counts()["requests"] - before


def write_large(folder: Path, gigabytes: float) -> None:
    """A dataset of about so many 10^9 bytes, in shards of a quarter of one, with texts of 2,000 characters."""
    import pyarrow as pa

    text = "So the trays hold twelve buns each, and a third of them are sold before noon. " * 25
    schema = pa.schema([("id", pa.string()), ("response", pa.string())])
    rows = int(0.25e9 / len(text))

    def batches(shard: int) -> Iterator[Any]:
        for start in range(0, rows, 4096):
            ids = [f"question-{shard}-{number}" for number in range(start, min(start + 4096, rows))]
            yield pa.record_batch([ids, [text] * len(ids)], schema=schema)

    write_dataset(folder, schema, [batches(shard) for shard in range(max(1, round(gigabytes * 4)))])


def write_questions(path: Path, rows: int) -> None:
    with path.open("w") as file:
        for row in range(rows):
            answer = f"{row}+1 = <<{row}+1={row + 1}>>{row + 1}.\\n#### {row + 1}"
            file.write(f'{{"id": "question-{row}", "question": "What follows {row}?", "answer": "{answer}"}}\n')


if __name__ == "__main__":
    main()
