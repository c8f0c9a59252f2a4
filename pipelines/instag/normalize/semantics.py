"""Step 3: merge tags with the same meaning by DBSCAN over their vectors (InsTag, arXiv 2308.07074, section 3.2).

With a minimum cluster size of one point, DBSCAN's clusters are the connected components of the graph that links points
up to eps apart. The paper's "minimum semantic similarity of 0.05" is taken as eps in cosine distance.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from synth.pipelines.instag.normalize.groups import SEMANTIC, Groups, component_labels
from synth.pipelines.instag.normalize.neighbors import Pairs, Points
from synth.pipelines.instag.tagsets import Int32s
from synth.schemas.atomic import atomic

__all__ = ["clusters", "merge_near"]


PAIRS_AT_A_TIME = 1 << 20


def merge_near(groups: Groups, points: Points, eps: float, work: Path) -> None:
    """Merge the tags of each cluster. `points` are in the order of the tags; the clusters are saved in `work`."""
    tags = groups.leaders
    path = work / "clusters.npy"
    if not path.exists():
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, clusters(points, eps))
    labels = np.zeros(len(groups.leader), np.int32)
    labels[tags] = np.load(path)

    def links(members: Int32s) -> list[tuple[int, int]]:
        near = _nearest_first(points.at(np.searchsorted(tags, members)), eps)
        return [(int(members[one]), int(members[other])) for one, other in near]

    groups.merge(labels, SEMANTIC, links)


def clusters(points: Points, eps: float) -> Int32s:
    """Each point's cluster, as `sklearn.cluster.DBSCAN(eps, min_samples=1, metric="cosine")` finds it."""
    labels = np.arange(len(points), dtype=np.int32)
    for one, other in _batched(points.candidates(1 - eps)):
        # Skip pairs that are already in one cluster.
        apart = labels[one] != labels[other]
        one, other = one[apart], other[apart]
        near = 1 - points.cosines(one, other) <= eps
        labels = component_labels(len(points), labels[one[near]], labels[other[near]])[labels]
    return labels


def _nearest_first(points: Points, eps: float) -> list[tuple[int, int]]:
    """All pairs up to `eps` apart, nearest first."""
    found: list[tuple[float, int, int]] = []
    for one, other in points.candidates(1 - eps):
        distances = 1 - points.cosines(one, other)
        near = distances <= eps
        found += zip(distances[near].tolist(), one[near].tolist(), other[near].tolist(), strict=True)
    return [(one, other) for _, one, other in sorted(found)]


def _batched(portions: Iterator[Pairs]) -> Iterator[Pairs]:
    """Join small portions."""
    batch: list[Pairs] = []
    for portion in chain(portions, [None]):
        if portion is not None:
            batch.append(portion)
        if batch and (portion is None or sum(len(one) for one, _ in batch) >= PAIRS_AT_A_TIME):
            one, other = map(np.concatenate, zip(*batch, strict=True))
            yield one, other
            batch = []
