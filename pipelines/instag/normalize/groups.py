"""Groups of forms that share a tag, merged step by step, and the form that names each."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.tagsets import Int32s

__all__ = ["ASSOCIATION", "FREQUENCY", "OVERRIDE", "RULE", "SEMANTIC", "STEPS", "Groups", "component_labels"]

# Pairs of form numbers.
Pairs = Iterable[tuple[int, int]]

STEPS = (None, "override", "frequency", "rule", "semantic", "association")
OVERRIDE, FREQUENCY, RULE, SEMANTIC, ASSOCIATION = range(1, len(STEPS))


class Groups:
    """Groups of forms 0 to `size` - 1. The lowest number, the most frequent form, leads a group.

    `leader[form]` is the form whose text is its tag, `step[form]` the last step that changed its leader. The two forms
    of a pair in `apart` never have the same leader, nor do two `anchors`, and an anchor is its own leader.
    """

    def __init__(self, size: int, apart: Sequence[tuple[int, int]] = (), anchors: Sequence[int] = ()) -> None:
        self.leader: Int32s = np.arange(size, dtype=np.int32)
        self.step = np.zeros(size, np.int8)
        self._apart = np.array(apart, np.int32).reshape(-1, 2)
        self._anchors = np.array(anchors, np.int32)

    @property
    def leaders(self) -> Int32s:
        """The forms that lead a group, ascending."""
        return np.unique(self.leader)

    def merge(
        self,
        labels: Int32s,
        step: int,
        links: Callable[[Int32s], Pairs],
        order: NDArray[np.integer] | None = None,
    ) -> None:
        """Merge the groups whose leaders have the same label. Labels of other forms are ignored.

        The new leader is the first one, by `order` (a permutation of the leaders) if given. If a merged group would
        contain forms that must stay apart, its leaders are linked pair by pair instead: `links` returns the pairs among
        these leaders, strongest first, and a pair that would connect such forms, even indirectly, is skipped.
        """
        leaders = self.leaders
        labels = self._split(leaders, labels[leaders], links)
        ordered = np.arange(len(leaders)) if order is None else np.searchsorted(leaders, order)
        groups, first, group = np.unique(labels[ordered], return_index=True, return_inverse=True)
        head = leaders[ordered[first]]
        anchors = np.searchsorted(leaders, self._anchors)
        head[np.searchsorted(groups, labels[anchors])] = self._anchors
        new = self.leader.copy()
        new[leaders[ordered]] = head[group]
        new = new[self.leader]
        self.step[new != self.leader] = step
        self.leader = new

    def _split(self, leaders: Int32s, labels: Int32s, links: Callable[[Int32s], Pairs]) -> Int32s:
        """`labels` of `leaders`, changed in place: groups that contain forms to keep apart are split."""
        one, other = labels[np.searchsorted(leaders, self.leader[self._apart])].T
        anchored, times = np.unique(labels[np.searchsorted(leaders, self._anchors)], return_counts=True)
        unused = int(labels.max(initial=0)) + 1
        for label in sorted({*one[one == other].tolist(), *anchored[times > 1].tolist()}):
            members = leaders[labels == label]
            for group in self._linked(members.tolist(), links(members)):
                labels[np.searchsorted(leaders, np.array(group))] = unused
                unused += 1
        return labels

    def _linked(self, members: Sequence[int], links: Pairs) -> list[list[int]]:
        """Groups of `members` after following all `links` that keep apart what must be."""
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


def component_labels(size: int, one: NDArray[np.integer], other: NDArray[np.integer]) -> Int32s:
    """A label for each of `size` nodes, equal within each connected component of the graph with these edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size))
    _, labels = connected_components(pairs, directed=False)
    return np.asarray(labels, np.int32)
