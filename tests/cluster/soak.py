"""`make soak-ray`: workers and nodes of a cluster die at 20 random moments of a run, and its output does not show it.

Minutes of what `test_same_bytes` does in seconds: 100,000 rows on four nodes, all of them processes of this machine.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from synth.schemas.dataset import Dataset
from tests.cluster.fire import under_fire
from tests.cluster.simulated import simulated
from tests.cluster.test_same_bytes import published, run
from tests.faults.campaign import asked, record_of

NODES = 4
CHUNK_ROWS = 256
# Rows that a worker has in flight, and the seconds of an answer: four workers need five minutes for 200,000 answers.
IN_FLIGHT = 64
SECONDS = 0.3
SECONDS_BETWEEN_KILLS = (5.0, 12.0)
# The share of the answers that may be asked for twice.
MOST_REPEATED = 0.02


def questions(rows: int) -> list[str]:
    """One in a hundred is refused, after its first answer."""
    return [f"refuse {row}" if row % 100 == 17 else f"What is {row}?" for row in range(rows)]


def soak(folder: Path, seed: int, texts: Sequence[str], kills: int) -> str:
    """What it came to, if all holds that must."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    run(folder, "here", list(texts), chunk_rows=CHUNK_ROWS)
    tell(f"{len(texts):,} rows without a cluster")
    with simulated(NODES) as cluster:
        died = under_fire(
            cluster,
            folder,
            random.Random(seed),
            kills=kills,
            between=SECONDS_BETWEEN_KILLS,
            seconds=SECONDS,
            in_flight=IN_FLIGHT,
            chunk_rows=CHUNK_ROWS,
            tell=tell,
        )
    tell("the run on the cluster has ended")
    assert died == kills, f"the run ended before {kills} kills"
    assert published(folder / "there") == published(folder / "here")
    for out in (folder / "there", folder / "there" / "rejected"):
        ids = Dataset.open(out).table["id"].to_pylist()
        assert len(ids) == len(set(ids)), "rows came twice"
    here, there = asked(folder / "here.log"), asked(folder / "there.log")
    assert set(there) == set(here)
    repeated, record = len(there) - len(set(there)), record_of(folder / "there")
    unused = record["cost"]["unused_requests"]
    assert max(unused, repeated) <= MOST_REPEATED * len(here)
    return (
        f"{kills} kills in {record['seconds']:.0f} s, {record['counts']['outputs']:,} rows of equal bytes: "
        f"{len(there):,} requests asked, {repeated:,} of them again ({repeated / len(here):.2%}); "
        f"the run itself reports {unused:,} that no row used"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20, help="half of them of nodes")
    arguments = parser.parse_args()
    print(f"--seed {arguments.seed}", flush=True)
    with TemporaryDirectory() as folder:
        print(soak(Path(folder), arguments.seed, questions(arguments.rows), arguments.kills))


if __name__ == "__main__":
    main()
