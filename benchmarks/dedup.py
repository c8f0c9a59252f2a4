"""`synth dedup` and `synth decontaminate` at two sizes, and other tools with the smaller one: rows/s and peak memory.

A row has 100 words, drawn by Zipf's law from 50,000; a third of the rows are earlier ones with up to eight words
replaced. Evaluation items are 2,000 such texts.

What synth takes is from exec to exit, reading and writing included; the others count from their first row on, and only
datatrove reads and writes in that time. The memory of synth is what the process and those that it started have of
their own (RssAnon, looked at fifty times a second): mapped files are not in it. Of the others it is what is resident of
the largest process.

Found are those copies with a similarity of at least 0.8 (of sets of five words) that are not kept together with the
row that they copy; lost are copies below 0.6 that are removed although the row that they copy is kept. All tools have
16 bands of 8 slots, which find 95 % of pairs at 0.8. Where the estimates of signatures alone decide, the threshold is
0.75, so that the share found is that of synth.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
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
LIKE, UNLIKE = 0.8, 0.6
ROWS_IN_BATCH = 4096


RIVALS = (
    ("datasketch", "on_datasketch.py"),
    ("rensa, deduplicator", "on_rensa.py"),
    ("rensa, matrices", "on_rensa.py", "--way", "matrices"),
    ("datatrove", "on_minhash_datatrove.py"),
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--small", type=int, default=100_000, help="rows of the smaller input")
    arguments.add_argument("--large", type=int, default=1_000_000, help="rows of the larger input; 0 for none")
    arguments.add_argument("--rival", choices=[name for name, *_ in RIVALS], action="append", help="one; repeatable")
    add_peers_option(arguments)
    given = arguments.parse_args()
    table = []
    with scratch() as folder:
        call_apart(write_rows, folder / "items", ITEMS, 1)
        for rows in filter(None, (given.small, given.large)):
            say(f"{rows:,} rows")
            source = folder / f"{rows}"
            copies, _ = call_apart(write_rows, source, rows, 0)
            for name, options in (
                ("dedup", []),
                ("dedup, exact only", ["--no-near"]),
                ("decontaminate", ["--against", str(folder / "items")]),
            ):
                out = folder / f"{name}-{rows}"
                outcome, own = run_watched([SYNTH, name.split(",")[0], str(source), str(out), *options])
                rate = rows / outcome.seconds
                shares = ["", ""]
                if name == "dedup":
                    shares = found_and_lost(copies, call_apart(kept_rows, out)[0])
                if (name, rows) == ("dedup", given.small):
                    ours = rate
                table.append([f"synth {name}", *figures(rows, outcome.seconds, own), *shares, ""])
            if rows == given.small:
                for name, driver, *options in RIVALS:
                    if given.rival and name not in given.rival:
                        continue
                    say(name)
                    contender = rival(name, driver, given.peers_python)
                    out = [str(folder / "datatrove")] if name == "datatrove" else []
                    outcome = run_apart([*contender.command, str(source), *out, *options])
                    if problem := contender.missing() or outcome.fault:
                        say(f"{name}: {problem}")
                        continue
                    seconds = outcome.report["seconds"]
                    shares = found_and_lost(copies, outcome.report["kept"])
                    ahead = multiple(ours * seconds / rows)
                    table.append([name, *figures(rows, seconds, outcome.peak), *shares, ahead])
    columns = ["what", "rows", "seconds", "rows/s", "peak own, MiB", "found", "lost", "synth dedup is faster by"]
    print_table("Rows without doubles, and without evaluation items", columns, table)


def figures(rows: int, seconds: float, peak: float) -> list[str]:
    return [f"{rows:,}", f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{peak:,.0f}"]


def found_and_lost(copies: Sequence[tuple[int, int, float]], kept: Iterable[int]) -> list[str]:
    """The shares, as texts, of the alike copies that are found and of the unlike ones that are lost."""
    still = set(kept)
    alike = [not {row, other} <= still for row, other, similarity in copies if similarity >= LIKE]
    unlike = [row not in still for row, other, similarity in copies if similarity < UNLIKE and other in still]
    return [f"{sum(some) / max(1, len(some)):.2%}" for some in (alike, unlike)]


def kept_rows(folder: Path) -> list[int]:
    import pyarrow as pa

    ids = [
        one
        for shard in folder.glob("*.arrow")
        for one in pa.ipc.open_stream(pa.memory_map(str(shard))).read_all()["id"].to_pylist()
    ]
    return [int(one.removeprefix("row-")) for one in ids]


def write_rows(folder: Path, rows: int, seed: int) -> list[tuple[int, int, float]]:
    """Writes the rows. Returns the number of each copy, of the row that it copies, and their similarity."""
    import pyarrow as pa

    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    copies: list[tuple[int, int, float]] = []
    write_dataset(folder, schema, [_batches(rows, seed, schema, copies)])
    return copies


def _batches(rows: int, seed: int, schema: Any, copied: list[tuple[int, int, float]]) -> Iterator[Any]:
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
            originals = rng.integers(0, len(before), copies.sum())
            drawn[copies] = before[originals]
            for row in np.flatnonzero(copies):
                places = rng.integers(0, WORDS, rng.integers(0, 9))
                drawn[row, places] = rng.integers(0, VOCABULARY, len(places))
            same = np.lib.stride_tricks.sliding_window_view(drawn[copies] == before[originals], 5, axis=1)
            shared = same.all(axis=2).sum(axis=1)
            similar = shared / (2 * (WORDS - 4) - shared)
            first = start - len(before)
            pairs = start + np.flatnonzero(copies), first + originals, similar
            copied += zip(*(column.tolist() for column in pairs), strict=True)
        before = drawn
        texts = [" ".join(row) for row in words[drawn]]
        yield pa.record_batch([[f"row-{start + i}" for i in range(count)], texts], schema=schema)


if __name__ == "__main__":
    sys.exit(main())
