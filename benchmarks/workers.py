"""What a second worker brings: rows/s of an engine with a fixed latency, of one and of two workers on a Ray cluster.

The cluster is simulated: its nodes are processes of this machine. The engine answers after a while without using the
processor, and a worker has only so many rows in flight, so two of them can do twice the work of one. A run without Ray
is shown beside them. Rows/s are those of the time in which the workers had their engines, as the run itself records it;
the whole seconds include the start of the workers.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contest import ROOT, call_apart, parser, print_table, rows_in, say, scratch

sys.path.insert(0, str(ROOT))
from tests.cluster.simulated import simulated

DELAY = 0.2
IN_FLIGHT = 64
CHUNK_ROWS = 256
# The workers on the cluster.
CONTENDERS = {"without Ray": 0, "one worker": 1, "two workers": 2}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=12_000)
    rows = arguments.parse_args().rows
    measured = {}
    with scratch() as folder, simulated(2) as cluster:
        source = rows_in(folder, rows)
        for name, workers in CONTENDERS.items():
            say(name)
            options = {"on": f"ray:{cluster.address}", "workers": workers} if workers else {}
            (seconds, engine_seconds), _ = call_apart(run, source, folder / name, options)
            measured[name] = rows * max(workers, 1) / engine_seconds, seconds
    one, _ = measured["one worker"]
    print_table(
        f"{rows:,} rows in chunks of {CHUNK_ROWS}, {IN_FLIGHT} in flight at {DELAY} s an answer",
        ["contender", "rows/s", "of the ideal", "of one worker", "seconds in all"],
        [
            [
                name,
                f"{rate:,.0f}",
                f"{rate / max(CONTENDERS[name], 1) / (IN_FLIGHT / DELAY):.3f}",
                f"{rate / one:.3f}",
                f"{seconds:.1f}",
            ]
            for name, (rate, seconds) in measured.items()
        ],
    )


def run(source: Path, out: Path, options: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds from begin to end, and the sum of the seconds for which each worker had its engine."""
    from ask_once import AskOnce

    from synth.pipelines.engines.echo import EchoEngine
    from synth.pipelines.runtime.runner import Options, Run

    started = time.perf_counter()
    options = Options(in_flight=IN_FLIGHT, chunk_rows=CHUNK_ROWS, **options)
    engine = EchoEngine(delay=DELAY)
    summary = Run(AskOnce(), [str(source / "rows.arrow")], out, options, engine=engine).execute()
    return time.perf_counter() - started, summary.record["cost"]["engine_seconds"]


if __name__ == "__main__":
    main()
