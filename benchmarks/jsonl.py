"""`synth import` and `synth export` of JSON lines beside DuckDB, polars and `datasets`: seconds from exec to exit.

A row has an id, a number, a grade and six words, about 100 bytes. synth checks every value for lost digits and keys,
ids for repetition and its input for damage, and writes shards with checksums, synced to the disk; the others check no
such thing. "CPU" are the seconds of all threads. The memory is what a process has of its own (RssAnon): mapped files
are not in it. Every other round is in reverse; figures are medians.
"""

import shutil
import sys
from pathlib import Path

from contest import (
    HERE,
    SYNTH,
    Contender,
    Rounds,
    add_peers_option,
    call_apart,
    multiple,
    parser,
    print_table,
    run_watched,
    say,
    scratch,
)

ROWS_IN_BATCH = 100_000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", action="append", help="a contender to run alone")
    add_peers_option(arguments)
    given = arguments.parse_args()
    driver = str(HERE / "rivals" / "json_lines.py")
    entered = [
        Contender("synth", [SYNTH]),
        Contender("DuckDB", [sys.executable, driver, "duckdb"]),
        Contender("polars", [given.peers_python, driver, "polars"]),
        Contender("datasets", [given.peers_python, driver, "datasets"]),
    ]
    entered = [each for each in entered if not given.only or each.name in given.only]
    table = []
    with scratch() as folder:
        say(f"making {given.rows:,} rows")
        lines, rows = folder / "rows.jsonl", folder / "rows"
        call_apart(write_lines, lines, given.rows)
        run_watched([SYNTH, "import", str(lines), str(rows)])
        for task, source, out in (("import", lines, folder / "out"), ("export", rows, folder / "out.jsonl")):
            rounds = Rounds()
            for number in range(given.rounds):
                for each in reversed(entered) if number % 2 else entered:
                    if rounds.problem(each):
                        continue
                    say(f"{task}, round {number + 1}: {each.name}")
                    outcome, own = run_watched([*each.command, task, str(source), str(out)])
                    rounds.add(each, seconds=outcome.seconds, cpu=outcome.cpu, own=own)
                    remove(out)
            best = min((rounds.figure(each, "seconds") for each in entered[1:]), default=float("nan"))
            for each in entered:
                seconds = rounds.figure(each, "seconds")
                cells = [f"{seconds:.1f}", multiple(seconds / best), f"{rounds.figure(each, 'cpu'):.1f}"]
                table.append([f"{task}, {each.name}", *cells, f"{rounds.figure(each, 'own'):,.0f}"])
        size = lines.stat().st_size / 1e9
    columns = ["what", "seconds", "of the best rival's", "CPU s", "own MiB"]
    print_table(f"{given.rows:,} rows of JSON, {size:.2f} GB", columns, table)


def remove(out: Path) -> None:
    """And what a library has left beside it."""
    for path in out.parent.glob(f"{out.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_lines(path: Path, rows: int) -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(1000)])
    with path.open("w") as file:
        for start in range(0, rows, ROWS_IN_BATCH):
            size = min(ROWS_IN_BATCH, rows - start)
            texts = words[generator.integers(0, 1000, (size, 6))].tolist()
            numbers = zip(generator.random(size).tolist(), generator.integers(0, 10, size).tolist(), strict=True)
            for number, (text, (score, grade)) in enumerate(zip(texts, numbers, strict=True), start):
                file.write(
                    f'{{"id": "row-{number}", "score": {score!r}, "grade": {grade}, "text": "{" ".join(text)}"}}\n'
                )


if __name__ == "__main__":
    main()
