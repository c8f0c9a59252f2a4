"""Near duplicates: texts whose sets of five-word shingles have a high Jaccard similarity, found by MinHash LSH.

A signature has 128 slots; two texts agree in a slot with probability J. The slots are divided into bands, and texts
that agree in all slots of any band are compared.
"""

from array import array

import numpy as np
import numpy.typing as npt

from synth.pipelines.runtime.text.exact import same_text
from synth.pipelines.runtime.text.words import Hashes, combined_hashes, windows, without_punctuation, word_hashes

__all__ = ["SLOTS", "NearDuplicates", "band_keys", "bands_for", "jaccard", "signatures"]

Slots = npt.NDArray[np.uint32]

SLOTS = 128
SEED = 1
# The share of pairs at the threshold similarity that must be found.
FOUND = 0.9
# Signatures taken out of the library at once: so few that their numbers, as objects, stay in the processor's cache.
ROWS_AT_ONCE = 128


def bands_for(threshold: float) -> int:
    """The fewest bands that find pairs of this similarity with probability 0.9: 16 for 0.8."""
    return next((n for n in (8, 16, 32, 64) if 1 - (1 - threshold ** (SLOTS // n)) ** n >= FOUND), SLOTS)


def signatures(shingles: Hashes, starts: npt.NDArray[np.int64]) -> Slots:
    """MinHash signatures (texts x 128); the shingles of text `i` are those from `starts[i]` to `starts[i + 1]`."""
    from rensa import RMinHash

    found = np.empty((len(starts) - 1, SLOTS), np.uint32)
    for first in range(0, len(found), ROWS_AT_ONCE):
        bounds = starts[first : first + ROWS_AT_ONCE + 1]
        hashes, offsets = shingles[bounds[0] : bounds[-1]], (bounds - bounds[0]).astype(np.uint64)
        rows = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, SLOTS, SEED).to_rows()
        # An array of the standard library reads a list faster than one of NumPy.
        packed = b"".join(array("I", row) for row in rows)
        found[first : first + len(rows)] = np.frombuffer(packed, np.uint32).reshape(-1, SLOTS)
    return found


def band_keys(signatures: Slots, bands: int) -> Hashes:
    """A nonzero key for each band of each text (texts x `bands`); equal keys mean equal slots."""
    slots = signatures.reshape(len(signatures), bands, -1)
    return np.maximum(
        combined_hashes([slots[:, :, place].astype(np.uint64) for place in range(slots.shape[2])]), np.uint64(1)
    )


def jaccard(one: Hashes, other: Hashes) -> float:
    """Jaccard similarity of two sorted sets of shingles; 1 if both are empty."""
    both = np.sort(np.concatenate([one, other]))
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (one.size + other.size - shared) if one.size + other.size else 1.0


class NearDuplicates:
    """Compares each text with the previous ones: for thousands of short texts, such as queries.

    Texts of fewer than `shingle` words are equal only if they have the same words. Punctuation is ignored (see
    `without_punctuation`), other signs are not. Takes about 3 KB for a text of a hundred words.
    """

    def __init__(self, threshold: float = 0.8, shingle: int = 5) -> None:
        self._threshold = threshold
        self._shingle = shingle
        self._bands = bands_for(threshold)
        self._short: dict[bytes | str, str] = {}
        self._kept: list[tuple[str, Hashes]] = []
        self._by_band: dict[tuple[int, int], list[int]] = {}

    def seen(self, key: str, text: str) -> str | None:
        """The key of the first remembered text that is nearly equal; if None, remembers this one as `key`."""
        hashes, starts = word_hashes([without_punctuation(text)], signed=True)
        if len(hashes) < self._shingle:
            same = hashes.tobytes() or same_text(text)
            earlier = self._short.get(same)
            self._short.setdefault(same, key)
            return earlier
        shingles, starts = windows(hashes, starts, self._shingle)
        bands = list(enumerate(band_keys(signatures(shingles, starts), self._bands)[0].tolist()))
        found = np.unique(shingles)
        for index in sorted({index for band in bands for index in self._by_band.get(band, ())}):
            twin, known = self._kept[index]
            if jaccard(found, known) >= self._threshold:
                return twin
        for band in bands:
            self._by_band.setdefault(band, []).append(len(self._kept))
        self._kept.append((key, found))
        return None
