"""A Ray cluster whose nodes are processes of this machine, to be killed one by one."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

# How soon a dead node is noticed. By default it takes ten seconds.
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 2}


class Simulated:
    """Nodes with one processor each, beside a head that has none."""

    def __init__(self, nodes: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        self._disks = TemporaryDirectory(prefix="synth-nodes-")
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": HEALTH}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self._new() for _ in range(nodes)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def disks(self) -> Path:
        """Below it, each node has a disk of its own."""
        return Path(self._disks.name)

    def replace_node(self, rng: random.Random) -> None:
        """A node dies with all that runs on it, and another one joins."""
        node = self.nodes.pop(rng.randrange(len(self.nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self.nodes.append(self._new())

    @contextmanager
    def with_gpus(self, gpus: int) -> Iterator[None]:
        """For a while, a node that is believed to have GPUs."""
        node = self._cluster.add_node(num_cpus=4, num_gpus=gpus, include_dashboard=False)
        try:
            yield
        finally:
            self._cluster.remove_node(node)

    def close(self) -> None:
        self._cluster.shutdown()
        self._disks.cleanup()

    def _new(self) -> Any:
        # Folders of one machine, as those of a node.
        own = {"XDG_STATE_HOME": mkdtemp(dir=self._disks.name)}
        return self._cluster.add_node(num_cpus=1, include_dashboard=False, env_vars=own)


@contextmanager
def simulated(nodes: int) -> Iterator[Simulated]:
    cluster = Simulated(nodes)
    try:
        yield cluster
    finally:
        cluster.close()


def actors() -> list[int]:
    """The processes of workers on the clusters of this process, whose nodes are its children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            if words.startswith(b"ray::Actor") and _parent(_parent(int(folder.name))) == os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _parent(process: int) -> int:
    # The name, which is in parentheses, may have spaces.
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kill_actor(rng: random.Random) -> bool:
    """`kill -9` a worker, if there is one."""
    if not (found := actors()):
        return False
    os.kill(rng.choice(found), signal.SIGKILL)
    return True


def wait_for_actors(number: int, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while len(actors()) < number:
        assert time.monotonic() < end, "no worker was started"
        time.sleep(0.1)
