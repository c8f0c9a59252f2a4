"""Match each row with the earlier kept row that it duplicates.

Rows are processed in order. A row is compared with earlier kept rows that share a key with it; a duplicate is removed
and never compared again. So every removed row has a match in the output, and the output has no pair that a second run
would find.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth.pipelines.dedup.fingerprints import BANDS, EXACT, SHINGLE, URL, Compared, Fingerprints
from synth.pipelines.runtime.gather import Gatherer
from synth.pipelines.runtime.text.columns import Texts, texts_of
from synth.pipelines.runtime.text.exact import same_text, same_url
from synth.pipelines.runtime.text.near import SLOTS, jaccard
from synth.pipelines.runtime.text.words import Hashes, windows, word_hashes
from synth.schemas.atomic import atomic

__all__ = ["Match", "Matcher"]

Links = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

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
        self._table = Gatherer(table.select(compared.columns))
        self._urls = Texts(table, [compared.url]) if compared.url else None
        # Of the rows that are compared now; the similarity is that of a row to another one, by their signatures.
        self._texts: dict[int, str] = {}
        self._shingles: dict[int, Hashes] = {}
        self._similarity: dict[tuple[int, int], float] = {}

    def among(self, start: int, stop: int) -> dict[int, Match]:
        """The duplicates from row `start` to `stop`; all rows before `start` must have been decided."""
        duplicates: dict[int, Match] = {}
        rows = start + np.flatnonzero((self._links[:, start:stop] >= 0).any(axis=0))
        links = self._kept_before(self._links[:, rows])
        self._links[:, rows] = links
        self._read_ahead(rows, links)
        for row, earlier in zip(rows.tolist(), links.T.tolist(), strict=True):
            # Some may have been removed since these were read.
            if not duplicates.keys().isdisjoint(earlier):
                self._links[:, row] = self._kept_before(self._links[:, [row]])[:, 0]
                earlier = self._links[:, row].tolist()
            match = self._match(row, earlier)
            if match:
                self._kept[row] = False
                duplicates[row] = match
        return duplicates

    def _kept_before(self, links: Links) -> Links:
        """Links (keys x rows), of which those to removed rows are replaced by theirs, which lead to kept rows."""
        keys, places = np.nonzero((links >= 0) & ~self._kept[links])
        links[keys, places] = self._links[keys, links[keys, places]]
        return links

    def _read_ahead(self, rows: Rows, links: Links) -> None:
        """Read at once what comparing `rows` takes, as far as it is known before any of them is decided."""
        self._texts, self._shingles, self._similarity = {}, {}, {}
        same = links[EXACT] >= 0
        self._read([*rows[same].tolist(), *links[EXACT, same].tolist()])
        bands, places = np.nonzero(links[BANDS:] >= 0)
        if not len(bands):
            return
        # A pair as one number.
        pairs = np.unique(rows[places] * len(self._kept) + links[BANDS + bands, places])
        ones, others = np.divmod(pairs, len(self._kept))
        estimates = self._estimates(ones, others)
        self._similarity.update(zip(zip(ones.tolist(), others.tolist(), strict=True), estimates.tolist(), strict=True))
        unsure = (estimates >= self._threshold - ERROR) & (estimates < self._threshold + ERROR)
        self._hash([*ones[unsure].tolist(), *others[unsure].tolist()])

    def _estimates(self, rows: Rows, others: Rows) -> npt.NDArray[np.float64]:
        """The similarity of each row to the other one, by their signatures."""
        signatures = self._found.signatures
        estimates: npt.NDArray[np.float64] = np.count_nonzero(signatures[rows] == signatures[others], axis=1) / SLOTS
        return estimates

    def _match(self, row: int, links: Sequence[int]) -> Match | None:
        for reason, key, same in (
            ("exact_duplicate", EXACT, self._same_text),
            ("same_url", URL, self._same_url),
        ):
            for earlier in self._chain(key, links[key]):
                if same(row, earlier):
                    return Match(earlier, reason)
        return self._near(row, links)

    def _chain(self, key: int, row: int) -> Iterator[int]:
        """The kept rows with the same key from `row` back, nearest first."""
        for _ in range(CANDIDATES):
            if row < 0:
                return
            yield row
            row = self._links.item(key, row)

    def _near(self, row: int, links: Sequence[int]) -> Match | None:
        """The most similar kept row that shares a band, if it reaches the threshold; the first of equals."""
        bands = [key for key in range(BANDS, len(links)) if links[key] >= 0]
        earlier = sorted({one for key in bands for one in self._chain(key, links[key])})
        similar = self._similar(row, earlier)
        likely = [one for one in earlier if similar[one] >= self._threshold - ERROR]
        for one in sorted(likely, key=similar.__getitem__, reverse=True)[:COMPARED]:
            similarity = similar[one]
            if similarity < self._threshold + ERROR:
                similarity = jaccard(*self._hashed(row, one))
            if min(similarity, MOST) >= self._threshold:
                return Match(one, "near_duplicate", min(similarity, MOST))
        return None

    def _similar(self, row: int, others: Sequence[int]) -> dict[int, float]:
        """The similarity of `row` to each of the others, by their signatures."""
        try:
            return {one: self._similarity[row, one] for one in others}
        except KeyError:
            estimates = self._estimates(np.array([row]), np.array(others))
            return dict(zip(others, estimates.tolist(), strict=True))

    def _same_text(self, row: int, earlier: int) -> bool:
        self._read([row, earlier])
        return same_text(self._texts[row]) == same_text(self._texts[earlier])

    def _same_url(self, row: int, earlier: int) -> bool:
        assert self._urls
        return same_url(self._urls[row][0]) == same_url(self._urls[earlier][0])

    def _hashed(self, *rows: int) -> list[Hashes]:
        """The shingles of rows, each sorted."""
        self._hash(rows)
        return [self._shingles[row] for row in rows]

    def _hash(self, rows: Sequence[int]) -> None:
        new = sorted(set(rows) - self._shingles.keys())
        if new:
            self._read(new)
            hashes, starts = windows(*word_hashes([self._texts[row] for row in new], signed=True), SHINGLE)
            for row, (first, end) in zip(new, pairwise(starts.tolist()), strict=True):
                self._shingles[row] = _distinct(hashes[first:end])

    def _read(self, rows: Sequence[int]) -> None:
        new = sorted(set(rows) - self._texts.keys())
        if new:
            found = texts_of(self._table.take(np.array(new)), self._compared.columns)
            self._texts.update(zip(new, map(self._compared.text, found), strict=True))


def _distinct(hashes: Hashes) -> Hashes:
    """As `np.unique`, which takes several times as long for the hundred hashes of a text."""
    ordered = np.sort(hashes)
    return ordered[np.append(ordered[:-1] != ordered[1:], True)] if len(ordered) else ordered
