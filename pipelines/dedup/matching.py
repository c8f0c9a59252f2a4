"""Which rows are doubles of an earlier row that is kept.

Rows are taken in order. One that shares a key with kept rows before it is compared with these; where it is their double
it goes, and is compared with no later row. So whatever is removed has a twin in the output that it was compared with,
and among the rows of the output there is no pair that would be found again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth.pipelines.dedup.fingerprints import BANDS, EXACT, SHINGLE, URL, Compared, Fingerprints
from synth.pipelines.dedup.texts import Texts
from synth.pipelines.runtime.text.exact import same_text, same_url
from synth.pipelines.runtime.text.near import SLOTS, jaccard
from synth.pipelines.runtime.text.words import Hashes, folded, word_hashes
from synth.schemas.atomic import atomic

__all__ = ["Twin", "Twins"]

Links = npt.NDArray[np.int32]

# Kept rows that a row is compared with at most for each band, the latest ones: boilerplate makes large groups.
CANDIDATES = 64
# Of these at most so many are compared word by word, the most similar ones by their signatures.
READ = 8
# Two texts may have the same shingles and differ all the same: in their order or number, or in the case of a word.
MOST = 0.99
# The estimate of a similarity from signatures is this far off, or more, in one of thousands of cases.
ERROR = 0.1


@dataclass(frozen=True)
class Twin:
    """The kept row whose double a row is, why, and how similar they are, 0 to 1."""

    row: int
    reason: str
    similarity: float = 1.0


def _links(keys: Hashes, folder: Path) -> Links:
    """Keys x rows: the row before each one that has the same key, or -1. Memory holds some 30 bytes a row meanwhile."""
    rows, places = keys.shape
    links = folder / "links"
    if not links.exists():
        with atomic(links) as temporary, temporary.open("wb") as file:
            for place in range(places):
                file.write(_same_before(np.ascontiguousarray(keys[:, place])).tobytes())
    return np.asarray(np.memmap(links, np.int32, "r+", shape=(places, rows)))


def _same_before(keys: Hashes) -> Links:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    repeats = 1 + np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0))
    before = np.full(len(keys), -1, np.int32)
    before[order[repeats]] = order[repeats - 1]
    return before


class Twins:
    """Decides on the rows of `table`, in order. What leads to it is kept in `folder`."""

    def __init__(
        self, table: pa.Table, compared: Compared, threshold: float, found: Fingerprints, folder: Path
    ) -> None:
        self._compared = compared
        self._threshold = threshold
        self._found = found
        # They lead from a row to those before it with the same key; once a row was decided on, only to kept ones.
        self._links = _links(found.keys, folder)
        self._kept = np.ones(table.num_rows, bool)
        self._texts = Texts(table, compared.columns)
        self._urls = Texts(table, [compared.url]) if compared.url else None
        # Many doubles have the same twin.
        self._shingles_of_kept = lru_cache(256)(self._shingles)

    def among(self, start: int, stop: int) -> dict[int, Twin]:
        """The doubles from row `start` to `stop`; all rows before `start` have been decided on."""
        doubles = {}
        for row in start + np.flatnonzero((self._links[:, start:stop] >= 0).any(axis=0)):
            twin = self._twin(int(row))
            if twin:
                self._kept[row] = False
                doubles[int(row)] = twin
        return doubles

    def _twin(self, row: int) -> Twin | None:
        links = self._links[:, row].copy()
        passed = np.flatnonzero((links >= 0) & ~self._kept[links])
        links[passed] = self._links[passed, links[passed]]
        self._links[:, row] = links
        for reason, place, same in (
            ("exact_duplicate", EXACT, self._same_text),
            ("same_url", URL, self._same_url),
        ):
            for earlier in self._chain(place, int(links[place])):
                if same(row, earlier):
                    return Twin(earlier, reason)
        return self._near(row, links)

    def _chain(self, place: int, row: int) -> Iterator[int]:
        """The kept rows with the same key from `row` back, in the order of their distance."""
        for _ in range(CANDIDATES):
            if row < 0:
                return
            yield row
            row = int(self._links[place, row])

    def _near(self, row: int, links: Links) -> Twin | None:
        """The most similar kept row that shares a band, if it is similar enough; the first one of several."""
        bands = [place for place in range(BANDS, len(links)) if links[place] >= 0]
        earlier = sorted({one for place in bands for one in self._chain(place, int(links[place]))})
        if not earlier:
            return None
        agreeing = self._found.signatures[earlier] == self._found.signatures[row]
        estimates = np.count_nonzero(agreeing, axis=1) / SLOTS
        likely = np.flatnonzero(estimates >= self._threshold - ERROR)
        for index in likely[np.argsort(-estimates[likely], kind="stable")][:READ]:
            similarity = float(estimates[index])
            if similarity < self._threshold + ERROR:
                similarity = jaccard(self._shingles(row), self._shingles_of_kept(earlier[index]))
            if min(similarity, MOST) >= self._threshold:
                return Twin(earlier[index], "near_duplicate", min(similarity, MOST))
        return None

    def _same_text(self, row: int, earlier: int) -> bool:
        return same_text(self._text(row)) == same_text(self._text(earlier))

    def _same_url(self, row: int, earlier: int) -> bool:
        assert self._urls
        return same_url(self._urls[row][0]) == same_url(self._urls[earlier][0])

    def _text(self, row: int) -> str:
        return self._compared.text(self._texts[row])

    def _shingles(self, row: int) -> Hashes:
        hashes, _ = word_hashes([self._text(row)], signed=True)
        return np.unique(folded([hashes[i : len(hashes) - SHINGLE + 1 + i] for i in range(SHINGLE)]))
