"""rensa: the first of near duplicates is kept, in memory, by one process.

`deduplicator` is the loop of its manual, which compares the signatures of candidates. Their estimates alone decide:
with a threshold of 0.8 they miss one in ten copies of that similarity or more; with 0.75 they find what synth
finds. `matrices` hashes all rows on all cores and rejects each that shares a band with another: fast, but it compares
nothing, and keeps none of a group.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from rensa import RMinHash, RMinHashDeduplicator, RMinHashLSH

# The bands that synth has for 0.8, and the threshold with which as many copies are found.
THRESHOLD, SLOTS, BANDS, SEED = 0.75, 128, 16, 42


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("--way", choices=["deduplicator", "matrices"], default="deduplicator")
    given = arguments.parse_args()
    texts = pa.concat_tables(
        pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in sorted(given.input.glob("*.arrow"))
    )["text"]
    started = time.perf_counter()
    if given.way == "deduplicator":
        deduplicator = RMinHashDeduplicator(THRESHOLD, SLOTS, True, BANDS, SEED)
        kept = deduplicator.add_pairs(
            (str(row), shingles) for row, shingles in enumerate(map(shingles_of, read(texts)))
        )
    else:
        matrix = RMinHash.digest_matrix_from_token_sets(list(map(shingles_of, read(texts))), SLOTS, SEED)
        flags = RMinHashLSH(THRESHOLD, SLOTS, BANDS).query_duplicate_flags_matrix_one_shot(matrix)
        kept = [not flag for flag in flags]
    seconds = time.perf_counter() - started
    print(json.dumps({"kept": [row for row, keep in enumerate(kept) if keep], "seconds": seconds}))


def read(texts: pa.ChunkedArray) -> Iterator[str]:
    for chunk in texts.chunks:
        yield from chunk.to_pylist()


def shingles_of(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[i : i + 5]) for i in range(len(words) - 4)]


if __name__ == "__main__":
    main()
