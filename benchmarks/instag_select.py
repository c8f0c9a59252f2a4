"""`synth instag select` over many tagged rows, beside Algorithm 1 as it is written: seconds and peak memory.

A row has a text of some 200 characters and 4.5 tags on average, drawn by Zipf's law from 6,400. What synth takes is
from exec to exit: checking the input, reading, ordering, selecting, and writing whole rows. The memory is what the
process has of its own (RssAnon), without the mapped files. The literal algorithm scans a list of all rows that are
left, in every round, and removes from it what it takes; its time is that of the sorting and the rounds alone, over tags
that are in memory as sets, and beside it stands what synth takes for the same over tags in memory as arrays. Pools
double in size while the literal algorithm takes less than half of `--patience`; the largest of them is shown.
"""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from contest import SYNTH, call_apart, multiple, parser, print_table, run_watched, say, scratch, write_dataset

TAGS, MEAN = 6_400, 4.5
ROWS_IN_BATCH = 4096
SHARDS = 8
FIRST_POOL = 10_000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("-n", nargs="+", type=int, default=[6_000, 100_000, 1_000_000], help="rows to select")
    arguments.add_argument("--by", nargs="+", default=["complexity-first-diverse", "random", "complexity", "diversity"])
    arguments.add_argument("--patience", type=float, default=60, help="seconds for the literal algorithm")
    given = arguments.parse_args()
    table = []
    with scratch() as folder:
        say(f"{given.rows:,} rows")
        call_apart(write_pool, folder / "pool", given.rows)
        for by in given.by:
            for n in given.n if by == given.by[0] else given.n[:1]:
                seconds, peak = select(folder, "pool", n, by)
                table.append([by, f"{given.rows:,}", f"{n:,}", f"{seconds:.1f}", f"{peak:,.0f}"])
    print_table("Rows selected by their tags", ["by", "pool", "selected", "seconds", "peak own, MiB"], table)
    columns = ["n", "pool", "as it is written, s", "peak, MiB", "synth, s", "peak, MiB", "synth faster by"]
    print_table("The rounds alone", columns, [literal_row(n, given) for n in given.n[:2]])


def select(folder: Path, pool: str, n: int, by: str) -> tuple[float, float]:
    out = folder / f"{pool}-{by}-{n}"
    outcome, own = run_watched([SYNTH, "instag", "select", str(folder / pool), str(out), "-n", str(n), "--by", by])
    say(f"{by}, {n:,} of {pool}: {outcome.seconds:.1f} s")
    return outcome.seconds, own


def literal_row(n: int, given: Any) -> list[str]:
    """The largest pool that the literal algorithm does in time, and what synth takes for the same."""
    rows, took, size = 0, 0.0, 0.0
    while rows < given.rows and 2 * took < given.patience:
        rows = min(2 * rows or FIRST_POOL, given.rows)
        (literal, took), size = call_apart(literally, rows, n)
        say(f"as it is written, {n:,} of {rows:,}: {took:.1f} s")
    (quick, seconds), peak = call_apart(by_first_rows, rows, n)
    if quick != literal:
        raise SystemExit(f"{n:,} of {rows:,}: synth has taken other rows")
    figures = [f"{took:.2f}", f"{size:,.0f}", f"{seconds:.2f}", f"{peak:,.0f}", multiple(took / seconds)]
    return [f"{n:,}", f"{rows:,}", *figures]


def by_first_rows(rows: int, n: int) -> tuple[list[int], float]:
    """The rows that synth takes, and in how many seconds."""
    import numpy as np

    from synth.pipelines.instag.sampling import most_tags_first, rounds
    from synth.pipelines.instag.tagsets import TagSets

    starts, tags = [np.zeros(1, np.int64)], []
    for sizes, drawn in draws(rows):
        keys = np.unique(np.repeat(np.arange(len(sizes)), sizes) * TAGS + drawn)
        starts.append(np.bincount(keys // TAGS, minlength=len(sizes)))
        tags.append((keys % TAGS).astype(np.int32))
    sets = TagSets(np.cumsum(np.concatenate(starts)), np.concatenate(tags))
    started = time.perf_counter()
    taken: list[int] = []
    for taken_in_round in rounds(sets, most_tags_first(sets)):
        taken += taken_in_round
        if len(taken) >= n:
            break
    return taken[:n], time.perf_counter() - started


def literally(rows: int, n: int) -> tuple[list[int], float]:
    """The rows that Algorithm 1 takes by lists and sets, and in how many seconds."""
    pool = [set(tags) for sizes, drawn in draws(rows) for tags in _cut(sizes, drawn)]
    started = time.perf_counter()
    left = sorted(range(rows), key=lambda row: -len(pool[row]))
    taken = []
    while len(taken) < n and any(pool[row] for row in left):
        covered: set[int] = set()
        for row in list(left):
            if not pool[row] <= covered:
                covered |= pool[row]
                taken.append(row)
                left.remove(row)
                if len(taken) == n:
                    break
    return taken, time.perf_counter() - started


def write_pool(folder: Path, rows: int) -> None:
    import pyarrow as pa

    schema = pa.schema([("id", pa.string()), ("instruction", pa.string()), ("tags", pa.list_(pa.string()))])
    batches = _batches(rows, schema)
    per_shard = -(-rows // (ROWS_IN_BATCH * SHARDS))
    write_dataset(folder, schema, [islice(batches, per_shard) for _ in range(SHARDS)])


def _batches(rows: int, schema: Any) -> Iterator[Any]:
    import numpy as np
    import pyarrow as pa

    names = pa.array([f"tag of rank {rank}" for rank in range(TAGS)])
    words = " ".join(f"word{number % 997}" for number in range(200))
    start = 0
    for sizes, drawn in draws(rows):
        ends = np.cumsum([0, *sizes]).astype(np.int32)
        tags = pa.ListArray.from_arrays(pa.array(ends), names.take(pa.array(drawn)))
        texts = [words[number % 500 : number % 500 + 100 + number * 7919 % 200] for number in range(len(sizes))]
        ids = [f"row-{start + number}" for number in range(len(sizes))]
        yield pa.record_batch([ids, texts, tags], schema=schema)
        start += len(sizes)


def draws(rows: int) -> Iterator[tuple[Any, Any]]:
    """For each batch of rows their numbers of tags, and these tags one after another."""
    import numpy as np

    rng = np.random.default_rng(0)
    chances = np.cumsum(1 / np.arange(1, TAGS + 1))
    for start in range(0, rows, ROWS_IN_BATCH):
        sizes = 1 + rng.poisson(MEAN - 1, min(ROWS_IN_BATCH, rows - start))
        yield sizes, np.searchsorted(chances, rng.random(sizes.sum()) * chances[-1])


def _cut(sizes: Any, drawn: Any) -> Iterator[list[int]]:
    start = 0
    for size in sizes.tolist():
        yield drawn[start : start + size].tolist()
        start += size


if __name__ == "__main__":
    main()
