"""Step 4: a tag that nearly always comes with another one is that one (InsTag, arXiv 2308.07074, section 3.2).

The paper mines rules with FP-Growth. Of these, rules from one tag to one tag make tags one, and they follow from how
often pairs occur. A sparse matrix counts these exactly, in portions: the tree of FP-Growth has to be in memory, and the
libraries that there are for it hold it in objects, some kilobytes a query.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.counting import stretches
from synth.pipelines.instag.normalize.groups import ASSOCIATION, Groups, connected

__all__ = ["Rules", "mined", "unite_associated"]

Numbers = NDArray[np.int32]
Whole = NDArray[np.int64]

PRODUCTS_AT_A_TIME = 1 << 23


def unite_associated(groups: Groups, sets: tuple[Whole, Numbers], min_support: int, min_confidence: float) -> int:
    """Make one the tags that rules link; their name is that of the most frequent one. The number of rules.

    `sets` are the tags of queries, each by its place among the leaders of `groups`, as `mined` takes them.
    """
    tags = groups.leaders
    counts = np.bincount(sets[1], minlength=len(tags))
    rules = mined(*sets, counts, min_support, min_confidence)
    labels = np.zeros(len(groups.leader), np.int32)
    labels[tags] = connected(len(tags), rules.one, rules.other)

    def links(members: Numbers) -> list[tuple[int, int]]:
        return [
            (int(tags[one]), int(tags[other]))
            for one, other in rules.among(np.searchsorted(tags, members).astype(np.int64))
        ]

    groups.unite(labels, ASSOCIATION, links, order=tags[np.argsort(-counts, kind="stable")])
    return len(rules.one)


@dataclass(frozen=True)
class Rules:
    """Rules `one[i]` -> `other[i]`, both tags, and in how many queries both are, of those that have the first."""

    one: Whole
    other: Whole
    support: Whole
    confidence: NDArray[np.float64]

    def among(self, tags: Whole) -> list[tuple[int, int]]:
        """Those between these tags, the surest first; of equal ones, those of more queries."""
        here = np.isin(self.one, tags) & np.isin(self.other, tags)
        found = zip(-self.confidence[here], -self.support[here], self.one[here], self.other[here], strict=True)
        return [(int(one), int(other)) for _, _, one, other in sorted(found)]


def mined(starts: Whole, tags: Numbers, counts: Whole, min_support: int, min_confidence: float) -> Rules:
    """The rules from one tag to one tag. Query `q` has the tags `tags[starts[q]:starts[q + 1]]`, each once.

    `counts` are the queries of each tag, `min_support` a number of queries. It takes some 20 bytes a tag of a query.
    """
    from scipy.sparse import coo_array, csr_array

    queries = csr_array((np.ones(len(tags), np.int32), tags, starts), shape=(len(starts) - 1, len(counts)))
    by_tag = csr_array(queries.T)
    products = by_tag @ np.diff(starts)
    nothing = np.empty(0, np.int64)
    parts = [Rules(nothing, nothing, nothing, np.empty(0))]
    for start, stop in stretches(products, PRODUCTS_AT_A_TIME):
        together = coo_array(by_tag[start:stop] @ queries)
        one, other, support = together.coords[0].astype(np.int64) + start, together.coords[1], together.data
        confidence = support / counts[one]
        kept = (support >= min_support) & (confidence >= min_confidence) & (one != other)
        parts.append(Rules(one[kept], other[kept], support[kept], confidence[kept]))
    return Rules(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rules)))
