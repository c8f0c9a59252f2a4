"""The connection of the driver to a Ray cluster."""

import logging
import os
import socket

from synth.pipelines.runtime.cluster.placement import Node
from synth.schemas.errors import UsageError
from synth.schemas.phrases import first_line

__all__ = ["connect", "disconnect", "nodes"]

CONNECT_SECONDS = 5.0


def connect(address: str | None) -> None:
    """Connect to a cluster, or start one. Raises `UsageError`."""
    address = address or os.environ.get("RAY_ADDRESS")
    if address and address.startswith("ray://"):
        raise UsageError(
            f"--on ray:{address}: a run cannot go through Ray Client; run the command on a node of the cluster, for "
            "example with `ray job submit`"
        )
    if address and ":" in address:
        _require_listener(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would print pages of its log to stdout when a node dies; `log_to_driver` does not stop that.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
    except ImportError:
        raise UsageError("--on ray needs Ray, which is not installed: pip install '.[ray]'") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        if address == "auto":
            raise UsageError("--on ray:auto: no cluster runs on this machine; start one with `ray start`") from error
        where = f"the cluster at {address} cannot be used" if address else "no cluster can be started here"
        raise UsageError(f"--on ray: {where}: {first_line(error)}") from error


def disconnect() -> None:
    import ray

    ray.shutdown()


def _require_listener(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"--on ray: no cluster answers at {address}: {why}") from error


def nodes() -> list[Node]:
    """The machines of the cluster."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(int(resources.get("CPU", 0)), int(resources.get("GPU", 0))) for resources in alive]
