"""A dataset of 100 million small rows: what it takes to publish and open it, in seconds and memory.

The rows are written as the finished chunks of a row stage leave them, 4,096 in a shard, by the classes of the project
itself; then the publication of a run joins them. Whatever opens the directory afterwards is a process of its own. What
is resident counts mapped pages, which the system takes back when it needs them; what is the process's own does not.
"of reading" compares with a process that does no more than look at each byte of the rows, on one core. Of what others
have, DuckDB's SUMMARIZE is closest to `stats`; it estimates how many values are distinct, and their quantiles.
Takes twice the bytes of the dataset under TMPDIR: 15 GB for 100 million rows.
"""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contest import SYNTH, call_apart, multiple, parser, print_table, run_watched, say, scratch

ROWS = 100_000_000
CHUNK_ROWS = 4096
LEASE = "benchmark"
IDENTITY = {"stage": "many-rows", "options": {}}
COUNT = "import sys; from datasets import load_from_disk; d = load_from_disk(sys.argv[1]); print(len(d), d[0], d[-1])"
READ = """
import sys, numpy, pyarrow
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("data-*.arrow")):
    for column in pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).read_all().columns:
        for chunk in column.chunks:
            for buffer in filter(None, chunk.buffers()):
                numpy.frombuffer(buffer, numpy.uint8).max(initial=0)
"""
SUMMARIZE = """
import sys, duckdb, pyarrow
from pathlib import Path
paths = sorted(map(str, Path(sys.argv[1]).glob("data-*.arrow")))
def batches():
    for path in paths:
        yield from pyarrow.ipc.open_stream(pyarrow.memory_map(path))
rows = pyarrow.RecordBatchReader.from_batches(pyarrow.ipc.open_stream(pyarrow.memory_map(paths[0])).schema, batches())
print(duckdb.sql("SUMMARIZE FROM rows"))
"""


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS)
    rows = arguments.parse_args().rows
    table: list[list[str]] = []

    def add(what: str, seconds: float, peak: float, own: float | None = None, reading: float | None = None) -> None:
        times = "-" if reading is None else multiple(seconds / reading)
        table.append([what, f"{seconds:,.1f}", times, f"{peak:,.0f}", "-" if own is None else f"{own:,.0f}"])
        say("  ".join(table[-1]))

    with scratch() as folder:
        out = folder / "out"
        for what, function in (("write the chunks", write_chunks), ("publish them", publish)):
            seconds, peak = call_apart(timed, function, out, rows)
            add(what, seconds, peak)
        found = f"id = 'row-{rows - 1}'"
        reading = None
        commands = {
            "pyarrow, every byte once": [sys.executable, "-c", READ, str(out)],
            "datasets.load_from_disk, first and last row": [sys.executable, "-c", COUNT, str(out)],
            "DuckDB, SUMMARIZE": [sys.executable, "-c", SUMMARIZE, str(out)],
            "synth show": [SYNTH, "show", str(out)],
            "synth stats": [SYNTH, "stats", str(out)],
            "synth report": [SYNTH, "report", str(out), "-o", str(folder / "report.html")],
            "synth filter, one row of all": [SYNTH, "filter", str(out), str(folder / "one"), "--where", found],
        }
        for what, command in commands.items():
            outcome, own = run_watched(command)
            reading = reading or outcome.seconds
            add(what, outcome.seconds, outcome.peak, own, reading)
        files = len(list(out.glob("*.arrow")))
        size = sum(path.stat().st_size for path in out.glob("*.arrow")) / 1e9
    print_table(
        f"{rows:,} rows of {size:.1f} GB in {files:,} files, made of {-(-rows // CHUNK_ROWS):,} chunks",
        ["what", "seconds", "of reading", "peak resident, MiB", "peak own, MiB"],
        table,
    )


def timed(function: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def write_chunks(out: Path, rows: int, padding: str = "") -> None:
    """`padding` makes each row longer."""
    from synth.pipelines.runtime.counts import Counts, Published
    from synth.schemas.atomic import write_json
    from synth.schemas.shards import Shard, ShardWriter
    from synth.schemas.writing.publication import OutputClaim

    claim = OutputClaim.open(out, IDENTITY)
    assert claim is not None
    with claim:
        for number, start in enumerate(range(0, rows, CHUNK_ROWS)):
            batch = _rows(start, min(start + CHUNK_ROWS, rows), padding)
            with ShardWriter(claim.layout.data(number, LEASE), batch.schema) as writer:
                writer.write(batch)
                data = writer.close()
            counts = Counts(produced=len(batch), outputs=len(batch))
            published = Published(counts, data, Shard("", 0, 0, ""), LEASE)
            write_json(claim.layout.published(number), asdict(published), durable=False)


def publish(out: Path, rows: int) -> None:
    import json

    from synth.pipelines.runtime.counts import Published
    from synth.schemas.writing.publication import OutputClaim

    claim = OutputClaim.open(out, IDENTITY)
    assert claim is not None
    with claim:
        layout = claim.layout
        records = (json.loads(layout.published(chunk).read_text()) for chunk in layout.published_chunks())
        claim.publish([Published.read(record).data for record in records], [], {"input_rows": rows})


def _rows(start: int, stop: int, padding: str) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pa.array(np.arange(start, stop))
    digits = numbers.cast(pa.string())
    texts = pc.binary_join_element_wise("What is", digits, f"and seven?{padding}", " ")
    return pa.record_batch([pc.binary_join_element_wise("row", digits, "-"), texts, numbers], ["id", "query", "number"])


if __name__ == "__main__":
    main()
