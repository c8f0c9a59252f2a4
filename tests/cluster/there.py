"""A run of its own process: `python -m tests.cluster.there FOLDER OUT ADDRESS SECONDS IN_FLIGHT CHUNK_ROWS`.

Nodes of a simulated cluster can be replaced only by the main thread of the process that has started them.
"""

import sys
from pathlib import Path

from synth.pipelines.runtime.runner import Run
from tests.cluster.engines import Slow
from tests.faults.campaign import TwoCalls, in_small_chunks


def main(folder: str, out: str, address: str, seconds: str, in_flight: str, chunk_rows: str) -> None:
    home = Path(folder)
    options = in_small_chunks(on=f"ray:{address}", in_flight=int(in_flight), chunk_rows=int(chunk_rows))
    engine = Slow(home / f"{out}.log", float(seconds))
    Run(TwoCalls(), [str(home / "questions.jsonl")], home / out, options, engine=engine).execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
