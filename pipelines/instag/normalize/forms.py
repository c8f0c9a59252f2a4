"""The distinct raw forms of tags, and the canonical tags to which the steps map them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.frequency import frequent
from synth.pipelines.instag.normalize.groups import FREQUENCY, OVERRIDE, Groups, component_labels
from synth.pipelines.instag.normalize.overrides import Overrides
from synth.pipelines.instag.tagsets import Int32s, Int64s
from synth.schemas.errors import InputError

__all__ = ["Forms", "Tags"]


@dataclass(frozen=True)
class Forms:
    """All forms with the number of queries that have each. `kept` are the indices of the forms that remain.

    `kept` is in order of precedence for leading a group: most queries first, then shortest, then alphabetical. Groups
    number forms by their position in it. `dropped` is the step that dropped each other form.
    """

    texts: Sequence[str]
    counts: Int64s
    kept: Int64s
    dropped: NDArray[np.int8]

    @classmethod
    def of(cls, texts: Sequence[str], counts: Int64s, alpha: int, overrides: Overrides) -> "Forms":
        """Keep frequent and pinned forms. A tag that only a pin names becomes a form that no query has.

        Raises `InputError` if none remains.
        """
        is_kept = frequent(texts, counts, alpha)
        known = set(texts) if overrides.pins else set()
        pinned = {form: tag for form, tag in overrides.pins.items() if form in known}
        added = sorted({tag for tag in pinned.values() if tag is not None} - known)
        texts = [*texts, *added]
        counts = np.concatenate([counts, np.zeros(len(added), np.int64)])
        is_kept = np.concatenate([is_kept, np.zeros(len(added), bool)])
        dropped = np.full(len(texts), FREQUENCY, np.int8)
        for form, number in _indices(texts, {*pinned, *pinned.values()}).items():
            is_kept[number] = pinned.get(form, form) is not None
            dropped[number] = FREQUENCY if is_kept[number] else OVERRIDE
        if not is_kept.any():
            raise InputError(
                f"--overrides drops every tag that --alpha {alpha} leaves: leave one out of it, or give a lower --alpha"
            )
        kept = sorted(np.flatnonzero(is_kept).tolist(), key=lambda form: (-counts[form], len(texts[form]), texts[form]))
        return cls(texts, counts, np.array(kept, np.int64), dropped)

    @cached_property
    def rank(self) -> Int32s:
        """The position of each form in `kept`, -1 for a dropped form."""
        rank = np.full(len(self.texts), -1, np.int32)
        rank[self.kept] = np.arange(len(self.kept))
        return rank

    def grouped(self, overrides: Overrides) -> Groups:
        """The kept forms, each in its own group except for pinned ones."""
        numbers = _indices(self.texts, {*overrides.forms, *overrides.tags})
        rank = {form: int(self.rank[number]) for form, number in numbers.items() if self.rank[number] >= 0}
        pins = [(rank[form], rank[tag]) for form, tag in overrides.pins.items() if form in rank and tag is not None]
        apart = [(rank[one], rank[other]) for one, other in overrides.apart if one in rank and other in rank]
        groups = Groups(len(self.kept), apart, sorted({tag for _, tag in pins}))
        forms, tags = np.array(pins, np.int64).reshape(-1, 2).T
        groups.merge(component_labels(len(self.kept), forms, tags), OVERRIDE, lambda _: pins)
        return groups

    def tags(self, groups: Groups) -> "Tags":
        """The tags to which `groups` map the kept forms."""
        leaders = groups.leaders
        tag_of_rank = np.append(np.searchsorted(leaders, groups.leader), -1)
        texts = pa.array([self.texts[form] for form in self.kept[leaders]], pa.string())
        return Tags(texts, tag_of_rank[self.rank].astype(np.int32))


@dataclass(frozen=True)
class Tags:
    """Canonical tags, numbered in the order of `texts`, and the tag of each form, -1 for none."""

    texts: pa.Array
    of_form: Int32s


def _indices(texts: Sequence[str], named: set[str | None]) -> dict[str, int]:
    return {text: index for index, text in enumerate(texts) if text in named} if named else {}
