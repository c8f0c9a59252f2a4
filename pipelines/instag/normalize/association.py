"""Step 4: merge a tag into another that nearly always occurs with it (InsTag, arXiv 2308.07074, section 3.2).

The paper mines rules with FP-Growth. Only rules from one tag to one tag merge tags, and pair counts determine these.
Sparse matrix products count pairs exactly, in portions. FP-Growth needs its whole tree in memory, and the available
libraries build it from objects: some kilobytes per query.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.counting import ranges_up_to
from synth.pipelines.instag.normalize.groups import ASSOCIATION, Groups, component_labels
from synth.pipelines.instag.tagsets import Int32s, Int64s

__all__ = ["Rules", "merge_associated", "mine_rules"]


PRODUCTS_AT_A_TIME = 1 << 23


def merge_associated(groups: Groups, sets: tuple[Int64s, Int32s], min_support: int, min_confidence: float) -> int:
    """Merge tags that rules link, under the name of the most frequent one. Returns the number of rules.

    `sets` are the arguments `starts` and `tags` of `mine_rules`, with tags as indices into the leaders of `groups`.
    """
    tags = groups.leaders
    counts = np.bincount(sets[1], minlength=len(tags))
    rules = mine_rules(*sets, counts, min_support, min_confidence)
    labels = np.zeros(len(groups.leader), np.int32)
    labels[tags] = component_labels(len(tags), rules.one, rules.other)

    def links(members: Int32s) -> list[tuple[int, int]]:
        return [
            (int(tags[one]), int(tags[other]))
            for one, other in rules.among(np.searchsorted(tags, members).astype(np.int64))
        ]

    groups.merge(labels, ASSOCIATION, links, order=tags[np.argsort(-counts, kind="stable")])
    return len(rules.one)


@dataclass(frozen=True)
class Rules:
    """Rules `one[i]` -> `other[i]` between tags; `support` is the number of queries with both."""

    one: Int64s
    other: Int64s
    support: Int64s
    confidence: NDArray[np.float64]

    def among(self, tags: Int64s) -> list[tuple[int, int]]:
        """Rules between these tags, by descending confidence, then support."""
        here = np.isin(self.one, tags) & np.isin(self.other, tags)
        found = zip(-self.confidence[here], -self.support[here], self.one[here], self.other[here], strict=True)
        return [(int(one), int(other)) for _, _, one, other in sorted(found)]


def mine_rules(starts: Int64s, tags: Int32s, counts: Int64s, min_support: int, min_confidence: float) -> Rules:
    """The rules from one tag to one tag. Query `q` has the tags `tags[starts[q]:starts[q + 1]]`, all distinct.

    `counts` are the numbers of queries with each tag; `min_support` is a number of queries. Memory: some 20 bytes per
    tag of a query.
    """
    from scipy.sparse import coo_array, csr_array

    queries = csr_array((np.ones(len(tags), np.int32), tags, starts), shape=(len(starts) - 1, len(counts)))
    by_tag = csr_array(queries.T)
    products = by_tag @ np.diff(starts)
    nothing = np.empty(0, np.int64)
    parts = [Rules(nothing, nothing, nothing, np.empty(0))]
    for start, stop in ranges_up_to(products, PRODUCTS_AT_A_TIME):
        together = coo_array(by_tag[start:stop] @ queries)
        one, other, support = together.coords[0].astype(np.int64) + start, together.coords[1], together.data
        confidence = support / counts[one]
        kept = (support >= min_support) & (confidence >= min_confidence) & (one != other)
        parts.append(Rules(one[kept], other[kept], support[kept], confidence[kept]))
    return Rules(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rules)))
