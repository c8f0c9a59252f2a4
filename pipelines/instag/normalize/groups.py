"""Forms that are one tag, step by step, and which of them gives it its name."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["ASSOCIATION", "FREQUENCY", "OVERRIDE", "RULE", "SEMANTIC", "STEPS", "Groups", "connected"]

Numbers = NDArray[np.int32]
# Pairs of forms by their numbers.
Pairs = Iterable[tuple[int, int]]

STEPS = (None, "override", "frequency", "rule", "semantic", "association")
OVERRIDE, FREQUENCY, RULE, SEMANTIC, ASSOCIATION = range(1, len(STEPS))


class Groups:
    """Forms 0 to `size` - 1, of which the earlier ones come first where one has to lead: the most frequent ones.

    `leader[form]` is the form whose text is its tag, `step[form]` the last step that gave it another leader. Forms of a
    pair in `apart` never have the same leader, nor do two `anchors`, and an anchor is its own.
    """

    def __init__(self, size: int, apart: Sequence[tuple[int, int]] = (), anchors: Sequence[int] = ()) -> None:
        self.leader: Numbers = np.arange(size, dtype=np.int32)
        self.step = np.zeros(size, np.int8)
        self._apart = np.array(apart, np.int32).reshape(-1, 2)
        self._anchors = np.array(anchors, np.int32)

    @property
    def leaders(self) -> Numbers:
        """Those forms that are tags, in order."""
        return np.unique(self.leader)

    def unite(
        self,
        labels: Numbers,
        step: int,
        links: Callable[[Numbers], Pairs],
        order: NDArray[np.integer] | None = None,
    ) -> None:
        """Make one group of all leaders with the same label (of forms that lead none, labels do not count).

        Its leader is the one that comes first, by `order` (the leaders, sorted) if that is given. Where a group would
        hold what must stay apart, `links` is asked for the pairs that make these leaders one, the strongest first:
        they are taken one by one, but for those that would bring the two together, directly or through others.
        """
        leaders = self.leaders
        labels = self._parted(leaders, labels[leaders].copy(), links)
        in_order = np.arange(len(leaders)) if order is None else np.searchsorted(leaders, order)
        groups, first, group = np.unique(labels[in_order], return_index=True, return_inverse=True)
        head = leaders[in_order[first]]
        anchors = np.searchsorted(leaders, self._anchors)
        head[np.searchsorted(groups, labels[anchors])] = self._anchors
        new = self.leader.copy()
        new[leaders[in_order]] = head[group]
        new = new[self.leader]
        self.step[new != self.leader] = step
        self.leader = new

    def _parted(self, leaders: Numbers, labels: Numbers, links: Callable[[Numbers], Pairs]) -> Numbers:
        """`labels` of `leaders`, with further ones for groups that cannot be as large as they would be."""
        apart = np.searchsorted(leaders, self.leader[self._apart])
        torn = set(labels[apart[:, 0]][labels[apart[:, 0]] == labels[apart[:, 1]]].tolist())
        anchored, times = np.unique(labels[np.searchsorted(leaders, self._anchors)], return_counts=True)
        torn.update(anchored[times > 1].tolist())
        unused = int(labels.max(initial=0)) + 1
        for label in sorted(torn):
            members = leaders[labels == label]
            for group in self._united(members.tolist(), links(members)):
                labels[np.searchsorted(leaders, np.array(group))] = unused
                unused += 1
        return labels

    def _united(self, members: Sequence[int], links: Pairs) -> list[list[int]]:
        group = {member: [member] for member in members}
        enemies: dict[int, set[int]] = {member: set() for member in members}
        anchors = set(self._anchors.tolist()) & group.keys()
        for anchor in anchors:
            enemies[anchor] |= anchors - {anchor}
        for pair in self.leader[self._apart].tolist():
            if group.keys() >= set(pair):
                enemies[pair[0]].add(pair[1])
                enemies[pair[1]].add(pair[0])
        for one, other in links:
            large, small = group[one], group[other]
            if large is small:
                continue
            if len(large) < len(small):
                large, small = small, large
            if any(small_member in enemies[large_member] for large_member in large for small_member in small):
                continue
            large += small
            group.update(dict.fromkeys(small, large))
        return list({id(members): members for members in group.values()}.values())


def connected(size: int, one: NDArray[np.integer], other: NDArray[np.integer]) -> Numbers:
    """A label for each of so many things; those that a chain of pairs connects have the same one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size))
    _, labels = connected_components(pairs, directed=False)
    return np.asarray(labels, np.int32)
