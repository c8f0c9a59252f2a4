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
    rooms = [node.gpus // gpus if gpus else node.processors for node in nodes]
    needed = wanted or (max(1, sum(rooms)) if gpus else max(1, sum(room > 0 for room in rooms)))
    shares = range(1, max((node.processors for node in nodes), default=0) + 1)
    processors = max((share for share in shares if _room(nodes, gpus, share) >= needed), default=0)
    if not processors:
        each = f"{plural(gpus, 'GPU')} and a processor each" if gpus else "a processor each"
        there = [plural(sum(node.processors for node in nodes), "processor"), plural(len(nodes), "node")]
        if gpus:
            there.insert(0, plural(sum(node.gpus for node in nodes), "GPU"))
        raise UsageError(
            f"{plural(needed, 'worker')} with {each} do not fit on the cluster ({', '.join(there)}), which has room "
            f"for {_room(nodes, gpus, 1)}: lower --workers, or start more nodes"
        )
    return Placement(needed, processors, gpus)


def _room(nodes: Sequence[Node], gpus: int, processors: int) -> int:
    """How many workers fit if each has so many processors."""
    return sum(min(node.processors // processors, node.gpus // gpus if gpus else node.processors) for node in nodes)
