"""Whether anything grows faster than its input: seconds, processor time and memory of five commands at several sizes.

The commands are the runner (`ask_once.py`: an engine that answers at once, one request a row), `dedup`, `query-of-cc
index`, `mix` and `instag normalize`, each a process from exec to exit. A row is an id and a text of ten words, drawn by
Zipf's law from 50,000, or for `normalize` 4.5 tags of 100,000 forms (`tagged_rows.py`); `mix` shuffles two inputs that
have half of the rows each. Ten words are few, so that a hundred million rows fit a disk: what a word costs is measured
elsewhere, here it is how cost grows.

A slope is the exponent of the growth from the size before it: 1 is in proportion to the rows, 0 is not at all. That of
the time is of processor time, which other work on the machine changes less. The memory is the process's own (RssAnon).
Needs up to 600 bytes of free disk under TMPDIR for each row.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any, NamedTuple

from contest import HERE, SYNTH, call_apart, parser, print_table, run_watched, say, scratch, write_dataset
from tagged_rows import write_rows as write_tagged_rows

WORDS, VOCABULARY, FORMS = 10, 50_000, 100_000
ROWS_IN_BATCH = 1 << 14


class Command(NamedTuple):
    """A command over datasets, its options, and the column of their texts."""

    words: list[str]
    inputs: list[str]
    column: str
    options: Sequence[str] = ()


COMMANDS = {
    "the runner": Command([sys.executable, str(HERE / "ask_once.py")], ["input"], "query"),
    "dedup": Command([SYNTH, "dedup"], ["input"], "text"),
    "query-of-cc index": Command([SYNTH, "query-of-cc", "index"], ["input"], "text"),
    "mix": Command([SYNTH, "mix"], ["input", "other"], "text"),
    "instag normalize": Command([SYNTH, "instag", "normalize"], ["input"], "", ("--embedder", "characters")),
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000, 100_000_000])
    arguments.add_argument("--only", choices=COMMANDS, action="append", help="one command; repeatable")
    given = arguments.parse_args()
    table: list[list[str]] = []
    for command in given.only or COMMANDS:
        measured = [(rows, *measure(command, rows)) for rows in sorted(given.rows)]
        slopes = [("", ""), *(slope(before, after) for before, after in pairwise(measured))]
        for (rows, seconds, cpu, own), exponents in zip(measured, slopes, strict=True):
            costs = [f"{seconds:,.1f}", f"{rows / seconds:,.0f}", f"{cpu / rows * 1e6:,.1f}", f"{own:,.0f}"]
            table.append([command, f"{rows:,}", *costs, *exponents])
    columns = ["command", "rows", "seconds", "rows/s", "CPU us a row", "own, MiB", "slope of CPU", "slope of memory"]
    print_table("How cost grows with the rows", columns, table)


def measure(name: str, rows: int) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and the peak of own memory in MiB."""
    command = COMMANDS[name]
    with scratch() as folder:
        for seed, source in enumerate(command.inputs):
            if command.column:
                call_apart(write_rows, folder / source, rows // len(command.inputs), command.column, seed)
            else:
                call_apart(write_tagged_rows, folder / source, rows, FORMS)
        paths = [str(folder / each) for each in (*command.inputs, "out")]
        outcome, own = run_watched([*command.words, *paths, *command.options])
        shutil.rmtree(folder / "out")
    say(f"{name}, {rows:,} rows: {outcome.seconds:,.1f} s, {outcome.cpu:,.1f} s of processor time, {own:,.0f} MiB")
    return outcome.seconds, outcome.cpu, own


def slope(before: tuple[int, float, float, float], after: tuple[int, float, float, float]) -> tuple[str, str]:
    """The exponents of processor time and memory."""
    growth = log(after[0] / before[0])
    return f"{log(after[2] / before[2]) / growth:.2f}", f"{log(after[3] / before[3]) / growth:.2f}"


def write_rows(folder: Path, rows: int, column: str, seed: int) -> None:
    import pyarrow as pa

    schema = pa.schema([("id", pa.string()), (column, pa.string())])
    write_dataset(folder, schema, [_batches(rows, seed, schema)])


def _batches(rows: int, seed: int, schema: Any) -> Iterator[Any]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rng = np.random.default_rng(seed)
    shares = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    shares /= shares[-1]
    words = pa.array(["".join(map(chr, rng.integers(97, 123, length))) for length in rng.integers(2, 10, VOCABULARY)])
    for start in range(0, rows, ROWS_IN_BATCH):
        count = min(ROWS_IN_BATCH, rows - start)
        drawn = [words.take(pa.array(np.searchsorted(shares, rng.random(count)))) for _ in range(WORDS)]
        numbers = pa.array(np.arange(start, start + count)).cast(pa.string())
        ids = pc.binary_join_element_wise(f"{seed}", numbers, "-")
        yield pa.record_batch([ids, pc.binary_join_element_wise(*drawn, " ")], schema=schema)


if __name__ == "__main__":
    main()
