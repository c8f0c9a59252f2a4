"""The forms in which tags were given, and those of them that the steps make one tag or another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.frequency import frequent
from synth.pipelines.instag.normalize.groups import FREQUENCY, OVERRIDE, Groups, connected
from synth.pipelines.instag.normalize.overrides import Overrides

__all__ = ["Forms", "Tags"]

Numbers = NDArray[np.int32]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Forms:
    """All forms with the number of queries that have each. `kept` are the indices of those that remain.

    Those are in the order in which they may lead a group: by queries, the most first, then the shorter, then by
    alphabet. Groups number them by their places in it. `dropped` is the step that dropped each of the others.
    """

    texts: Sequence[str]
    counts: Whole
    kept: Whole
    dropped: NDArray[np.int8]

    @classmethod
    def of(cls, texts: Sequence[str], counts: Whole, alpha: int, overrides: Overrides) -> "Forms":
        """Frequent and pinned forms remain. A tag that only a pin names becomes a form that no query has."""
        is_kept = frequent(texts, counts, alpha)
        there = set(texts) if overrides.pins else set()
        pinned = {form: tag for form, tag in overrides.pins.items() if form in there}
        added = sorted({tag for tag in pinned.values() if tag is not None} - there)
        texts = [*texts, *added]
        counts = np.concatenate([counts, np.zeros(len(added), np.int64)])
        is_kept = np.concatenate([is_kept, np.zeros(len(added), bool)])
        dropped = np.full(len(texts), FREQUENCY, np.int8)
        for form, number in _numbers(texts, {*pinned, *pinned.values()}).items():
            is_kept[number] = pinned.get(form, form) is not None
            dropped[number] = FREQUENCY if is_kept[number] else OVERRIDE
        in_order = sorted(
            np.flatnonzero(is_kept).tolist(), key=lambda form: (-counts[form], len(texts[form]), texts[form])
        )
        return cls(texts, counts, np.array(in_order, np.int64), dropped)

    @cached_property
    def place(self) -> Numbers:
        """Of each form its place among those kept; -1 if it is not."""
        place = np.full(len(self.texts), -1, np.int32)
        place[self.kept] = np.arange(len(self.kept))
        return place

    def grouped(self, overrides: Overrides) -> Groups:
        """Those kept, each a group of its own, but for what is pinned."""
        numbers = _numbers(self.texts, {*overrides.forms, *overrides.tags})
        place = {form: int(self.place[number]) for form, number in numbers.items() if self.place[number] >= 0}
        pins = [(place[form], place[tag]) for form, tag in overrides.pins.items() if form in place and tag is not None]
        apart = [(place[one], place[other]) for one, other in overrides.apart if one in place and other in place]
        groups = Groups(len(self.kept), apart, sorted({tag for _, tag in pins}))
        forms, tags = np.array(pins, np.int64).reshape(-1, 2).T
        groups.unite(connected(len(self.kept), forms, tags), OVERRIDE, lambda _: pins)
        return groups

    def tags(self, groups: Groups) -> "Tags":
        """The tags that `groups` make of the forms that are kept."""
        leaders = groups.leaders
        places = np.append(np.searchsorted(leaders, groups.leader), -1)
        texts = pa.array([self.texts[form] for form in self.kept[leaders]], pa.string())
        return Tags(texts, places[self.place].astype(np.int32))


@dataclass(frozen=True)
class Tags:
    """Canonical tags, numbered in the order of `texts`, and the tag of each form, -1 if it has none."""

    texts: pa.Array
    of_form: Numbers


def _numbers(texts: Sequence[str], named: set[str | None]) -> dict[str, int]:
    return {text: number for number, text in enumerate(texts) if text in named} if named else {}
