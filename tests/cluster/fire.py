"""A run on a cluster whose workers and nodes are killed at random moments."""

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.simulated import Simulated, kill_actor, wait_for_actors


def under_fire(
    cluster: Simulated,
    folder: Path,
    rng: random.Random,
    *,
    kills: int,
    between: tuple[float, float],
    seconds: float,
    in_flight: int,
    chunk_rows: int = 4,
) -> int:
    """Run `folder`'s questions into `there`; how many kills there were before it ended, half of them of nodes."""
    arguments = (folder, "there", cluster.address, seconds, in_flight, chunk_rows)
    run = subprocess.Popen([sys.executable, "-m", "tests.cluster.there", *map(str, arguments)])
    wait_for_actors(1)
    done = 0
    while done < kills and run.poll() is None:
        time.sleep(rng.uniform(*between))
        if run.poll() is not None:
            break
        if rng.random() < 0.5:
            cluster.replace_node(rng)
            done += 1
        else:
            done += kill_actor(rng)
    assert run.wait(timeout=600) == 0
    return done
