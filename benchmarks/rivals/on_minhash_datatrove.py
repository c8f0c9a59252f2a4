"""datatrove: its four steps of MinHash deduplication, with a worker for each core, from JSONL to JSONL.

It compares no candidates: rows that share a bucket are one cluster, and so are theirs. It has the bands of synth.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

CONFIG = MinhashConfig(n_grams=5, num_buckets=16, hashes_per_bucket=8)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    given = arguments.parse_args()
    workers = os.cpu_count() or 1
    folders = {name: str(given.out / name) for name in ("rows", "signatures", "buckets", "removed", "kept")}
    write_shares(given.input, Path(folders["rows"]), workers)

    def run(name: str, tasks: int, *steps: Any) -> None:
        LocalPipelineExecutor(list(steps), tasks, workers, logging_dir=str(given.out / "logs" / name)).run()

    started = time.perf_counter()
    rows = JsonlReader(folders["rows"])
    run("1", workers, rows, MinhashDedupSignature(folders["signatures"], CONFIG))
    run("2", CONFIG.num_buckets, MinhashDedupBuckets(folders["signatures"], folders["buckets"], config=CONFIG))
    run("3", 1, MinhashDedupCluster(folders["buckets"], folders["removed"], CONFIG))
    kept = JsonlWriter(folders["kept"], compression=None)
    run("4", workers, rows, MinhashDedupFilter(folders["removed"]), kept)
    seconds = time.perf_counter() - started
    ids = [json.loads(line)["id"] for file in Path(folders["kept"]).iterdir() for line in file.open()]
    print(json.dumps({"kept": sorted(int(one.removeprefix("row-")) for one in ids), "seconds": seconds}))


def write_shares(source: Path, folder: Path, shares: int) -> None:
    """The rows as JSONL, a file for each worker."""
    table = pa.concat_tables(
        pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in sorted(source.glob("*.arrow"))
    )
    folder.mkdir(parents=True)
    size = -(-table.num_rows // shares)
    for share in range(shares):
        rows = table.slice(share * size, size).to_pylist()
        (folder / f"{share}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    main()
