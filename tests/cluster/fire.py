"""A run on a cluster whose workers and nodes are killed at random moments."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
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
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Run `folder`'s questions into `there`; how many kills there were before it ended.

    Half of the kills are of nodes, the others of workers, in random order.
    """
    arguments = (folder, "there", cluster.address, seconds, in_flight, chunk_rows)
    command = [sys.executable, "-m", "tests.cluster.there", *map(str, arguments)]
    said = folder / "there.said"
    with said.open("wb") as file:
        run = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    wait_for_actors(1)
    victims = ["node", "worker"] * (kills // 2)
    rng.shuffle(victims)
    done = 0
    while done < len(victims):
        time.sleep(rng.uniform(*between))
        if run.poll() is not None:
            break
        if victims[done] == "node":
            cluster.replace_node(rng)
        elif not kill_actor(rng):
            continue
        done += 1
        tell(f"{done} killed, the last one a {victims[done - 1]}")
    assert run.wait(timeout=600) == 0, said.read_text()
    assert "raylet" not in said.read_text(), "Ray's own log is not for users"
    return done
