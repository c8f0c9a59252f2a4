"""How many workers a cluster has room for, and what each of them gets."""

import pytest

from synth.pipelines.runtime.cluster.placement import Node, Placement, placed
from synth.schemas.errors import UsageError

EIGHT = [Node(processors=64, gpus=8)] * 2


@pytest.mark.parametrize(
    ("nodes", "gpus", "wanted", "placement"),
    [
        (EIGHT, 1, None, Placement(16, 8, 1)),
        (EIGHT, 4, None, Placement(4, 32, 4)),
        (EIGHT, 4, 2, Placement(2, 64, 4)),
        ([*EIGHT, Node(16, 0)], 3, None, Placement(4, 32, 3)),
        ([Node(4, 0), Node(4, 0), Node(0, 0)], 0, None, Placement(2, 4, 0)),
        ([Node(4, 0), Node(4, 0)], 0, 3, Placement(3, 2, 0)),
        ([Node(2, 0)], 0, 2, Placement(2, 1, 0)),
    ],
    ids=["each GPU", "four GPUs each", "fewer", "a rest", "each node", "several a node", "each processor"],
)
def test_workers_share_the_gpus_and_processors(
    nodes: list[Node], gpus: int, wanted: int | None, placement: Placement
) -> None:
    assert placed(nodes, gpus, wanted) == placement


@pytest.mark.parametrize(
    ("nodes", "gpus", "wanted", "sentence"),
    [
        (
            EIGHT,
            4,
            5,
            "5 workers with 4 GPUs and a processor each do not fit on the cluster (16 GPUs, 128 processors, 2 nodes), "
            "which has room for 4",
        ),
        (
            EIGHT,
            16,
            None,
            "1 worker with 16 GPUs and a processor each do not fit on the cluster (16 GPUs, 128 processors, 2 nodes), "
            "which has room for 0",
        ),
        (
            [Node(2, 0)],
            0,
            3,
            "3 workers with a processor each do not fit on the cluster (2 processors, 1 node), which has room for 2",
        ),
        ([Node(2, 8)], 1, None, "8 workers with 1 GPU and a processor each do not fit"),
    ],
    ids=["too few GPUs", "spread over nodes", "too few processors", "more GPUs than processors"],
)
def test_a_cluster_that_is_too_small_is_refused(
    nodes: list[Node], gpus: int, wanted: int | None, sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        placed(nodes, gpus, wanted)
    assert sentence in str(refused.value)
