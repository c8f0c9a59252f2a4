"""How many workers a cluster has room for, and what each of them gets."""

from collections.abc import Sequence
from dataclasses import dataclass

from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural

__all__ = ["Node", "Placement", "placed"]


@dataclass(frozen=True)
class Node:
    """What a machine of the cluster has."""

    processors: int
    gpus: int


@dataclass(frozen=True)
class Placement:
    """The number of workers, and the processors and GPUs of each."""

    workers: int
    processors: int
    gpus: int


def placed(nodes: Sequence[Node], gpus: int, wanted: int | None) -> Placement:
    """A place for `wanted` workers with `gpus` GPUs each; by default for as many as there are GPUs for.

    Workers without GPUs are one for each node by default. The processors of a node are shared by its workers. Raises
    `UsageError` if the cluster is too small.
    """
    if gpus:
        rooms = [node.gpus // gpus for node in nodes]
        if sum(rooms) < (wanted or 1):
            each = plural(gpus, "GPU")
            raise UsageError(
                f"the cluster has room for {sum(rooms)} workers with {each} each "
                f"({plural(sum(node.gpus for node in nodes), 'GPU')} on {plural(len(nodes), 'node')}), and "
                f"{wanted or 1} are needed: lower --workers, or start more nodes"
            )
    else:
        rooms = [node.processors for node in nodes]
        if sum(rooms) < (wanted or 1):
            raise UsageError(
                f"the cluster has {plural(sum(rooms), 'processor')} on {plural(len(nodes), 'node')}, too few for "
                f"{plural(wanted or 1, 'worker')}: lower --workers, or start more nodes"
            )
    workers = wanted or (sum(rooms) if gpus else sum(room > 0 for room in rooms))
    # The least that lets all of them fit: a node takes as many workers as it has room for.
    processors = max(
        share for share in range(1, max(node.processors for node in nodes) + 1) if _fit(nodes, gpus, share) >= workers
    )
    return Placement(workers, processors, gpus)


def _fit(nodes: Sequence[Node], gpus: int, processors: int) -> int:
    """How many workers fit if each has so many processors."""
    return sum(min(node.processors // processors, node.gpus // gpus if gpus else node.processors) for node in nodes)
