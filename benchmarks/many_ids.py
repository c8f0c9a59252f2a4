"""Whether a billion ids are checked without holding them in memory: seconds and peak MiB as the input grows.

An input of ids alone is read as a step reads it: its checksums and then the ids are compared. The process's own pages
(RssAnon) are what it needs; what is resident counts pages of mapped files, too, which the system takes back. Takes 28
bytes a row under TMPDIR.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contest import call_apart, parser, print_table, run_watched, say, scratch, write_dataset

ROWS = (10_000_000, 100_000_000, 1_000_000_000)
ROWS_PER_FILE = 10_000_000
ROWS_PER_BATCH = 1 << 16
READ = """
import sys
from pathlib import Path
from synth.schemas.reading.sources import Source
from synth.schemas.records import ROW
print(Source(sys.argv[1], ROW, {}, None).table(Path(sys.argv[2])).num_rows)
"""


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--largest", type=int, default=ROWS[-1], help="rows of the largest input")
    largest = arguments.parse_args().largest
    table = []
    for rows in (rows for rows in ROWS if rows <= largest):
        say(f"{rows:,} ids")
        with scratch() as folder:
            call_apart(write_ids, folder / "ids", rows)
            outcome, own = run_watched([sys.executable, "-c", READ, str(folder / "ids"), str(folder / "scratch")])
        assert int(outcome.output) == rows
        rate = rows / outcome.seconds / 1e6
        table.append([f"{rows:,}", f"{outcome.seconds:,.1f}", f"{rate:.1f}", f"{outcome.peak:,.0f}", f"{own:,.0f}"])
    print_table(
        "Reading an input whose ids have to be compared",
        ["rows", "seconds", "million rows/s", "peak resident, MiB", "peak own, MiB"],
        table,
    )


def write_ids(folder: Path, rows: int) -> None:
    starts = range(0, rows, ROWS_PER_FILE)
    write_dataset(folder, _ids(0, 1).schema, [_batches(start, min(start + ROWS_PER_FILE, rows)) for start in starts])


def _batches(start: int, stop: int) -> Iterator[Any]:
    for first in range(start, stop, ROWS_PER_BATCH):
        yield _ids(first, min(first + ROWS_PER_BATCH, stop))


def _ids(start: int, stop: int) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = pa.array(np.arange(start, stop)).cast(pa.string())
    return pa.record_batch([pc.binary_join_element_wise("r", digits, "-")], ["id"])


if __name__ == "__main__":
    main()
