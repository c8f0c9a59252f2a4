"""`synth filter`, `split`, `join` and `mix` beside DuckDB alone: seconds from exec to exit, and peak memory.

A row has an id, a number and twelve words. DuckDB reads the same Arrow shards and writes one Arrow file; synth also
checks the checksums of its input, keeps the order of the rows, and writes shards with checksums, synced to the disk.
The memory is what the process has of its own (RssAnon): mapped files are not in it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from contest import HERE, SYNTH, call_apart, multiple, parser, print_table, run_apart, run_watched, say, scratch

ROWS_IN_BATCH = 100_000
OPTIONS = {
    "filter": ["--where", "score > 0.5 AND text LIKE '%word99%'"],
    "split": ["--to", "0.9"],
    "join": ["--on", "id=row_id", "--take", "grade"],
    "mix": [],
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    table = []
    with scratch() as folder:
        say(f"making {given.rows:,} rows")
        for name, write in (("rows", write_rows), ("other", write_other)):
            call_apart(write, folder / f"{name}.arrow", given.rows)
            made = run_apart([SYNTH, "import", str(folder / f"{name}.arrow"), str(folder / name)])
            assert not made.fault, made.fault
        rows, other = str(folder / "rows"), str(folder / "other")
        for task, options in OPTIONS.items():
            inputs = [rows, other] if task in ("join", "mix") else [rows]
            ours = [SYNTH, task, *inputs, str(folder / task), *options, "--fresh"]
            theirs = [sys.executable, str(HERE / "rivals" / "on_duckdb.py"), task, rows, other, str(folder / "out")]
            rounds = []
            for number in range(given.rounds):
                say(f"{task}, round {number + 1}")
                rounds.append([run_watched(ours), run_watched(theirs)])
            seconds = [median(turn[side][0].seconds for turn in rounds) for side in (0, 1)]
            memory = [median(turn[side][1] for turn in rounds) for side in (0, 1)]
            ratio = median(turn[0][0].seconds / turn[1][0].seconds for turn in rounds)
            table.append(
                [task, *(f"{each:.1f}" for each in seconds), multiple(ratio), *(f"{each:,.0f}" for each in memory)]
            )
    columns = ["what", "synth, s", "DuckDB, s", "synth / DuckDB", "synth, own MiB", "DuckDB, own MiB"]
    print_table(f"{given.rows:,} rows", columns, table)


def write_rows(path: Path, rows: int) -> None:
    import numpy as np
    import pyarrow as pa

    def batches() -> Iterator[Any]:
        generator = np.random.default_rng(0)
        words = np.array([f"word{number}" for number in range(1000)])
        for start in range(0, rows, ROWS_IN_BATCH):
            size = min(ROWS_IN_BATCH, rows - start)
            texts = [" ".join(line) for line in words[generator.integers(0, 1000, (size, 12))]]
            ids = [f"row-{number}" for number in range(start, start + size)]
            yield pa.table({"id": ids, "score": generator.random(size), "text": texts})

    _write(path, batches())


def write_other(path: Path, rows: int) -> None:
    """A grade for every other row, in another order."""
    import numpy as np
    import pyarrow as pa

    numbers = np.random.default_rng(1).permutation(rows)[: rows // 2]

    def batches() -> Iterator[Any]:
        for start in range(0, len(numbers), ROWS_IN_BATCH):
            part = numbers[start : start + ROWS_IN_BATCH]
            keys = [f"row-{number}" for number in part]
            yield pa.table({"id": [f"grade-{key}" for key in keys], "row_id": keys, "grade": part % 5 / 1.0})

    _write(path, batches())


def _write(path: Path, tables: Iterator[Any]) -> None:
    import pyarrow as pa

    first = next(tables)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, first.schema) as stream:
        stream.write_table(first)
        for table in tables:
            stream.write_table(table)


if __name__ == "__main__":
    main()
