"""Rows by their tags: complexity-first diverse sampling (InsTag, arXiv 2308.07074, Algorithm 1), and its parts.

The algorithm is an order of the rows, by their number of tags, and a scan of what is in order. Each can be had without
the other: the first rows of the same order, or the scan of rows in random order.
"""

from collections.abc import Iterator
from itertools import count, repeat

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from synth.pipelines.instag.tagsets import TagSets

__all__ = ["Rows", "at_random", "most_tags_first", "rounds"]

Rows = NDArray[np.int64]


def most_tags_first(sets: TagSets) -> Rows:
    """All rows by the number of their tags; those with equally many stay in their order."""
    return np.argsort(-sets.sizes, kind="stable")


def at_random(ids: pa.ChunkedArray, salt: int) -> Rows:
    """All rows in an order that follows from `salt` and each row's id, and not from where the row stands."""
    hashes = [
        np.fromiter(map(xxhash.xxh3_64_intdigest, chunk.to_pylist(), repeat(salt)), np.uint64, len(chunk))
        for chunk in ids.cast(pa.binary()).chunks
    ]
    return np.argsort(np.concatenate(hashes), kind="stable")


def rounds(sets: TagSets, order: Rows) -> Iterator[list[int]]:
    """The rows that each round of Algorithm 1 takes of those in `order`, until only rows without tags are left.

    A round scans the rows that are left, in order, and takes each one that has a tag which none taken in this round
    has. One that it passes over would add nothing later in the round, either: what is covered only grows. So the next
    row to take is the first one left that has a tag not covered yet. Which row is the first with a tag changes only
    from round to round, as taking it covers the tag. Hence a round goes through these first rows in order, and costs
    what it takes, however much it passes over.
    """
    places, ends = _places_by_tag(sets, order)
    place_at, row_at = places.data, order.data
    starts, tags = sets.starts.data, sets.tags.data
    heads = [0, *ends[:-1]]
    is_left = bytearray(b"\1") * len(order)
    covered_in = [0] * len(ends)
    open_tags = [tag for tag, end in enumerate(ends) if heads[tag] < end]
    for number in count(1):
        if not open_tags:
            return
        taken = []
        for place, tag in sorted((place_at[heads[tag]], tag) for tag in open_tags):
            if covered_in[tag] != number:
                is_left[place] = 0
                row = row_at[place]
                taken.append(row)
                for covered in tags[starts[row] : starts[row + 1]]:
                    covered_in[covered] = number
        yield taken
        for tag in open_tags:
            while heads[tag] < ends[tag] and not is_left[place_at[heads[tag]]]:
                heads[tag] += 1
        open_tags = [tag for tag in open_tags if heads[tag] < ends[tag]]


def _places_by_tag(sets: TagSets, order: Rows) -> tuple[NDArray[np.int32], list[int]]:
    """Tag after tag, where in `order` the rows stand that have it; and where in this the places of each tag end."""
    places = np.empty(len(sets), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    keys = sets.tags.astype(np.int64) << 32
    keys |= np.repeat(places, sets.sizes)
    keys.sort()
    return keys.astype(np.int32), np.cumsum(np.bincount(sets.tags)).tolist()
