"""Algorithm 1: what a scan takes, in which order, and that going by the first rows of tags takes the same."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.instag.sampling import most_tags_first, rounds
from synth.pipelines.instag.tagsets import TagSets, Vocabulary, tag_sets
from synth.pipelines.runtime.row_hashes import in_random_order

TAGS = st.lists(st.sampled_from("abcdefghij"), max_size=6)


def sets_of(rows: Sequence[Sequence[str] | None]) -> TagSets:
    return tag_sets([pa.array(rows, pa.list_(pa.string()))], Vocabulary())


def literally(rows: Sequence[Sequence[str]], order: Sequence[int]) -> list[list[int]]:
    """The rounds of Algorithm 1 as it is written: every row that is left is looked at in every round."""
    left, taken = list(order), []
    while any(rows[row] for row in left):
        covered: set[str] = set()
        taken.append([])
        for row in list(left):
            if set(rows[row]) - covered:
                covered |= set(rows[row])
                taken[-1].append(row)
                left.remove(row)
    return taken


@given(st.lists(TAGS, max_size=30), st.randoms(use_true_random=False))
def test_the_rounds_are_those_of_the_literal_scan(rows: list[list[str]], random: Random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    for given_order in (np.array(order, np.int64), most_tags_first(sets_of(rows))):
        assert list(rounds(sets_of(rows), given_order)) == literally(rows, given_order.tolist())
    filled = np.array([row for row in order if rows[row]], np.int64)
    assert list(rounds(sets_of(rows), filled)) == literally(rows, order)


def test_each_row_is_as_likely_as_any_other_to_come_early() -> None:
    names = pa.chunked_array([[f"r-{row}" for row in range(start, start + 10)] for start in (0, 10)])
    drawn = Counter(row for seed in range(1000) for row in in_random_order(names, seed)[:5].tolist())
    assert len(drawn) == 20
    # 250 with a standard deviation of 14.
    assert 190 < min(drawn.values()) <= max(drawn.values()) < 310
