"""`synth dedup` and `synth decontaminate` at two sizes, beside datasketch: rows/s and peak memory.

A row has 100 words, drawn by Zipf's law from 50,000; a third of the rows are earlier ones with up to eight words
replaced. Evaluation items are 2,000 such texts. The memory is what the process and those that it started have of their
own (RssAnon, looked at ten times a second): mapped files are not in it. What synth takes is from exec to exit, reading
and writing included; datasketch does the first rows only, and neither reads nor writes in its time.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contest import (
    SYNTH,
    add_peers_option,
    call_apart,
    multiple,
    parser,
    print_table,
    rival,
    run_apart,
    run_watched,
    say,
    scratch,
    write_dataset,
)

WORDS, VOCABULARY, ITEMS = 100, 50_000, 2_000
ROWS_IN_BATCH = 4096


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--small", type=int, default=100_000, help="rows of the smaller input")
    arguments.add_argument("--large", type=int, default=1_000_000, help="rows of the larger input")
    arguments.add_argument("--rival-rows", type=int, default=20_000, help="how many rows datasketch does")
    add_peers_option(arguments)
    given = arguments.parse_args()
    table = []
    rates = {}
    with scratch() as folder:
        call_apart(write_rows, folder / "items", ITEMS, 1)
        for rows in (given.small, given.large):
            say(f"{rows:,} rows")
            source = folder / f"{rows}"
            call_apart(write_rows, source, rows, 0)
            for name, options in (
                ("dedup", []),
                ("dedup, exact only", ["--no-near"]),
                ("decontaminate", ["--against", str(folder / "items")]),
            ):
                command = [SYNTH, name.split(",")[0], str(source), str(folder / f"{name}-{rows}"), *options]
                outcome, own = run_watched(command)
                rate = rates[name, rows] = rows / outcome.seconds
                table.append(
                    [f"synth {name}", f"{rows:,}", f"{outcome.seconds:.1f}", f"{rate:,.0f}", f"{own:,.0f}", ""]
                )
        contender = rival("datasketch", "on_datasketch.py", given.peers_python)
        if problem := contender.missing():
            say(f"datasketch: {problem}")
        elif (outcome := run_apart([*contender.command, str(folder / f"{given.small}"), str(given.rival_rows)])).fault:
            say(f"datasketch: {outcome.fault}")
        else:
            seconds = outcome.report["seconds"]
            rate = given.rival_rows / seconds
            ahead = multiple(rates["dedup", given.small] / rate)
            table.append(
                ["datasketch", f"{given.rival_rows:,}", f"{seconds:.1f}", f"{rate:,.0f}", f"{outcome.peak:,.0f}", ahead]
            )
    columns = ["what", "rows", "seconds", "rows/s", "peak own, MiB", "synth dedup is faster by"]
    print_table("Rows without doubles, and without evaluation items", columns, table)


def write_rows(folder: Path, rows: int, seed: int) -> None:
    import pyarrow as pa

    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    write_dataset(folder, schema, [_batches(rows, seed, schema)])


def _batches(rows: int, seed: int, schema: Any) -> Iterator[Any]:
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, VOCABULARY + 1)
    chances /= chances.sum()
    lengths = rng.integers(2, 10, VOCABULARY)
    words = np.array(["".join(map(chr, rng.integers(97, 123, length))) for length in lengths], object)
    before = np.empty((0, WORDS), np.int64)
    for start in range(0, rows, ROWS_IN_BATCH):
        count = min(ROWS_IN_BATCH, rows - start)
        drawn = rng.choice(VOCABULARY, (count, WORDS), p=chances)
        if len(before):
            copies = rng.random(count) < 1 / 3
            drawn[copies] = before[rng.integers(0, len(before), copies.sum())]
            for row in np.flatnonzero(copies):
                places = rng.integers(0, WORDS, rng.integers(0, 9))
                drawn[row, places] = rng.integers(0, VOCABULARY, len(places))
        before = drawn
        texts = [" ".join(row) for row in words[drawn]]
        yield pa.record_batch([[f"row-{start + i}" for i in range(count)], texts], schema=schema)


if __name__ == "__main__":
    sys.exit(main())
