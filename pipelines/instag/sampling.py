"""Complexity-first diverse sampling (InsTag, arXiv 2308.07074, Algorithm 1), and its two parts.

The algorithm sorts the rows by their number of tags and scans them in that order. Each part is available alone: the
first rows of that order, or the scan over rows in random order.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.tagsets import TagSets

__all__ = ["Rows", "most_tags_first", "rounds"]

Rows = NDArray[np.int64]


def most_tags_first(sets: TagSets) -> Rows:
    """All rows in descending order of tag count; ties keep their order."""
    return np.argsort(-sets.sizes, kind="stable")


def rounds(sets: TagSets, order: Rows) -> Iterator[list[int]]:
    """The rows that each round of Algorithm 1 takes from `order`, until only rows without tags are left.

    A round scans the remaining rows in order and takes each row with a tag that no row of this round covers yet. A
    skipped row would add nothing later in the round either, because coverage only grows. So the next row to take is the
    first remaining row of some uncovered tag, and the first row of a tag changes only between rounds, since taking it
    covers the tag. Hence a round visits only these first rows: its cost does not depend on the rows that it skips.
    """
    positions, ends = _positions_by_tag(sets, order)
    position_at, row_at = positions.data, order.data
    starts, tags = sets.starts.data, sets.tags.data
    heads = [0, *ends[:-1]]
    is_left = bytearray(b"\1") * len(order)
    covered_in = [0] * len(ends)
    open_tags = [tag for tag, end in enumerate(ends) if heads[tag] < end]
    for number in count(1):
        if not open_tags:
            return
        taken = []
        for position, tag in sorted((position_at[heads[tag]], tag) for tag in open_tags):
            if covered_in[tag] != number:
                is_left[position] = 0
                row = row_at[position]
                taken.append(row)
                for covered in tags[starts[row] : starts[row + 1]]:
                    covered_in[covered] = number
        yield taken
        for tag in open_tags:
            while heads[tag] < ends[tag] and not is_left[position_at[heads[tag]]]:
                heads[tag] += 1
        open_tags = [tag for tag in open_tags if heads[tag] < ends[tag]]


def _positions_by_tag(sets: TagSets, order: Rows) -> tuple[NDArray[np.int32], list[int]]:
    """The positions in `order` of the rows with each tag, sorted by tag, and where those of each tag end."""
    positions = np.empty(len(sets), np.int32)
    positions[order] = np.arange(len(order), dtype=np.int32)
    keys = sets.tags.astype(np.int64) << 32
    keys |= np.repeat(positions, sets.sizes)
    keys.sort()
    return keys.astype(np.int32), np.cumsum(np.bincount(sets.tags)).tolist()
