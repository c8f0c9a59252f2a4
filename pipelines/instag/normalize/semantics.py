"""Step 3: tags that mean the same are one: DBSCAN over vectors of them (InsTag, arXiv 2308.07074, section 3.2).

With a point for each tag and at least one point in a cluster, DBSCAN's clusters are what chains of points make, each no
further than eps from the next; the paper's "minimum semantic similarity of 0.05" is read as eps in cosine distance.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.groups import SEMANTIC, Groups, connected
from synth.pipelines.instag.normalize.nearness import Pairs, Points
from synth.schemas.atomic import atomic

__all__ = ["clusters", "unite_near"]

Numbers = NDArray[np.int32]

PAIRS_AT_A_TIME = 1 << 20


def unite_near(groups: Groups, points: Points, eps: float, work: Path) -> None:
    """Make one the tags that are in one cluster. Each has its point, in order; clusters are laid by in `work`."""
    tags = groups.leaders
    path = work / "clusters.npy"
    if not path.exists():
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, clusters(points, eps))
    labels = np.zeros(len(groups.leader), np.int32)
    labels[tags] = np.load(path)

    def links(members: Numbers) -> list[tuple[int, int]]:
        near = _nearest_first(points.at(np.searchsorted(tags, members)), eps)
        return [(int(members[one]), int(members[other])) for one, other in near]

    groups.unite(labels, SEMANTIC, links)


def clusters(points: Points, eps: float) -> Numbers:
    """The label of each point's cluster: what `sklearn.cluster.DBSCAN(eps, min_samples=1, metric="cosine")` finds."""
    labels = np.arange(len(points), dtype=np.int32)
    for one, other in _gathered(points.candidates(1 - eps)):
        # Two that a chain connects already need not be measured.
        apart = labels[one] != labels[other]
        one, other = one[apart], other[apart]
        near = 1 - points.cosines(one, other) <= eps
        labels = connected(len(points), labels[one[near]], labels[other[near]])[labels]
    return labels


def _nearest_first(points: Points, eps: float) -> list[tuple[int, int]]:
    """All pairs that are no further than `eps`, the nearest first."""
    found: list[tuple[float, int, int]] = []
    for one, other in points.candidates(1 - eps):
        distances = 1 - points.cosines(one, other)
        near = distances <= eps
        found += zip(distances[near].tolist(), one[near].tolist(), other[near].tolist(), strict=True)
    return [(one, other) for _, one, other in sorted(found)]


def _gathered(portions: Iterator[Pairs]) -> Iterator[Pairs]:
    waiting: list[Pairs] = []
    for portion in portions:
        waiting.append(portion)
        if sum(len(one) for one, _ in waiting) >= PAIRS_AT_A_TIME:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(portions: list[Pairs]) -> Pairs:
    ones, others = zip(*portions, strict=True)
    return np.concatenate(ones), np.concatenate(others)
