"""Match each row with the earlier kept row that it duplicates.

Rows are processed in order. A row is compared with earlier kept rows that share a key with it; a duplicate is removed
and never compared again. So every removed row has a match in the output, and the output has no pair that a second run
would find.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth.pipelines.dedup.fingerprints import BANDS, EXACT, SHINGLE, URL, Compared, Fingerprints
from synth.pipelines.runtime.text.columns import Texts
from synth.pipelines.runtime.text.exact import same_text, same_url
from synth.pipelines.runtime.text.near import SLOTS, jaccard
from synth.pipelines.runtime.text.words import Hashes, combined_hashes, word_hashes
from synth.schemas.atomic import atomic

__all__ = ["Match", "Matcher"]

Links = npt.NDArray[np.int32]

# Most kept rows, the latest, that a row is compared with per band: boilerplate makes large groups.
CANDIDATES = 64
# Most of these that are compared shingle by shingle: those with the most similar signatures.
COMPARED = 8
# Texts with equal shingle sets may still differ: in the order or number of shingles, or the case of a word.
MOST = 0.99
# A similarity estimated from signatures is off by this much or more in one of thousands of cases.
ERROR = 0.1


@dataclass(frozen=True)
class Match:
    """The kept row that a row duplicates, the reason, and their similarity from 0 to 1."""

    row: int
    reason: str
    similarity: float = 1.0


def _links(keys: Hashes, folder: Path) -> Links:
    """Keys x rows: the row before each one that has the same key, or -1. Needs some 30 bytes per row."""
    rows, count = keys.shape
    links = folder / "links"
    if not links.exists():
        with atomic(links) as temporary, temporary.open("wb") as file:
            for key in range(count):
                file.write(_same_before(np.ascontiguousarray(keys[:, key])).tobytes())
    return np.asarray(np.memmap(links, np.int32, "r+", shape=(count, rows)))


def _same_before(keys: Hashes) -> Links:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    repeats = 1 + np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0))
    before = np.full(len(keys), -1, np.int32)
    before[order[repeats]] = order[repeats - 1]
    return before


class Matcher:
    """Finds the duplicates among the rows of `table`, in order; its links are stored in `folder`."""

    def __init__(
        self, table: pa.Table, compared: Compared, threshold: float, found: Fingerprints, folder: Path
    ) -> None:
        self._compared = compared
        self._threshold = threshold
        self._found = found
        # From each row to the one before it with the same key; once a row is decided, only to kept rows.
        self._links = _links(found.keys, folder)
        self._kept = np.ones(table.num_rows, bool)
        self._texts = Texts(table, compared.columns)
        self._urls = Texts(table, [compared.url]) if compared.url else None
        # Many duplicates match the same row.
        self._shingles_of_kept = lru_cache(256)(self._shingles)

    def among(self, start: int, stop: int) -> dict[int, Match]:
        """The duplicates from row `start` to `stop`; all rows before `start` must have been decided."""
        duplicates = {}
        for row in start + np.flatnonzero((self._links[:, start:stop] >= 0).any(axis=0)):
            match = self._match(int(row))
            if match:
                self._kept[row] = False
                duplicates[int(row)] = match
        return duplicates

    def _match(self, row: int) -> Match | None:
        links = self._links[:, row].copy()
        removed = np.flatnonzero((links >= 0) & ~self._kept[links])
        links[removed] = self._links[removed, links[removed]]
        self._links[:, row] = links
        for reason, key, same in (
            ("exact_duplicate", EXACT, self._same_text),
            ("same_url", URL, self._same_url),
        ):
            for earlier in self._chain(key, int(links[key])):
                if same(row, earlier):
                    return Match(earlier, reason)
        return self._near(row, links)

    def _chain(self, key: int, row: int) -> Iterator[int]:
        """The kept rows with the same key from `row` back, nearest first."""
        for _ in range(CANDIDATES):
            if row < 0:
                return
            yield row
            row = int(self._links[key, row])

    def _near(self, row: int, links: Links) -> Match | None:
        """The most similar kept row that shares a band, if it reaches the threshold; the first of equals."""
        bands = [key for key in range(BANDS, len(links)) if links[key] >= 0]
        earlier = sorted({one for key in bands for one in self._chain(key, int(links[key]))})
        if not earlier:
            return None
        agreeing = self._found.signatures[earlier] == self._found.signatures[row]
        estimates = np.count_nonzero(agreeing, axis=1) / SLOTS
        likely = np.flatnonzero(estimates >= self._threshold - ERROR)
        for index in likely[np.argsort(-estimates[likely], kind="stable")][:COMPARED]:
            similarity = float(estimates[index])
            if similarity < self._threshold + ERROR:
                similarity = jaccard(self._shingles(row), self._shingles_of_kept(earlier[index]))
            if min(similarity, MOST) >= self._threshold:
                return Match(earlier[index], "near_duplicate", min(similarity, MOST))
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
        return np.unique(combined_hashes([hashes[i : len(hashes) - SHINGLE + 1 + i] for i in range(SHINGLE)]))
