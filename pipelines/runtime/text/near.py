"""Near duplicates: texts whose sets of five-word shingles have a high Jaccard similarity, found by MinHash LSH.

A signature has 128 slots; two texts agree in a slot with the probability J. The slots are cut into bands, and texts
that agree in all slots of any band are compared.
"""

import numpy as np
import numpy.typing as npt

from synth.pipelines.runtime.text.exact import same_text
from synth.pipelines.runtime.text.words import Hashes, combined_hashes, windows, without_punctuation, word_hashes

__all__ = ["SLOTS", "NearDuplicates", "band_keys", "bands_for", "jaccard", "signatures"]

Slots = npt.NDArray[np.uint32]

SLOTS = 128
SEED = 1
# The share of the pairs that are just as similar as asked for which must meet in a band.
FOUND = 0.9


def bands_for(threshold: float) -> int:
    """The fewest bands in which pairs of this similarity meet with a probability of 0.9: 16 for 0.8."""
    return next(
        (bands for bands in (8, 16, 32, 64) if 1 - (1 - threshold ** (SLOTS // bands)) ** bands >= FOUND),
        SLOTS,
    )


def signatures(shingles: Hashes, starts: npt.NDArray[np.int64]) -> Slots:
    """MinHash signatures, texts x 128, of the shingles of each text from `starts[i]` to `starts[i + 1]`."""
    from rensa import RMinHash

    rows = RMinHash.digest_matrix_from_flat_token_hashes(shingles, starts.astype(np.uint64), SLOTS, SEED).to_rows()
    return np.array(rows, np.uint32).reshape(-1, SLOTS)


def band_keys(signatures: Slots, bands: int) -> Hashes:
    """A key for each band of each text, texts x `bands`, none of which is 0: equal keys are equal slots."""
    slots = signatures.reshape(len(signatures), bands, -1)
    return np.maximum(
        combined_hashes([slots[:, :, place].astype(np.uint64) for place in range(slots.shape[2])]), np.uint64(1)
    )


def jaccard(one: Hashes, other: Hashes) -> float:
    """Size of the intersection over that of the union of two sorted sets of shingles; 1 of two empty ones."""
    shared = np.intersect1d(one, other, assume_unique=True).size
    return shared / (one.size + other.size - shared) if one.size + other.size else 1.0


class NearDuplicates:
    """Texts that come one after another, each told from those before: for thousands of short texts, such as queries.

    Texts of fewer than `shingle` words are equal only if they have the same words. Punctuation does not count, as it is
    `without_punctuation`; other signs do. About 3 KB are held for a text of a hundred words.
    """

    def __init__(self, threshold: float = 0.8, shingle: int = 5) -> None:
        self._threshold = threshold
        self._shingle = shingle
        self._bands = bands_for(threshold)
        self._short: dict[bytes | str, str] = {}
        self._kept: list[tuple[str, Hashes]] = []
        self._meeting: dict[tuple[int, int], list[int]] = {}

    def seen(self, key: str, text: str) -> str | None:
        """The key of the first text among those remembered that is nearly equal; None remembers this one as `key`."""
        hashes, starts = word_hashes([without_punctuation(text)], signed=True)
        if len(hashes) < self._shingle:
            same = hashes.tobytes() or same_text(text)
            earlier = self._short.get(same)
            self._short.setdefault(same, key)
            return earlier
        shingles, starts = windows(hashes, starts, self._shingle)
        bands = list(enumerate(band_keys(signatures(shingles, starts), self._bands)[0].tolist()))
        found = np.unique(shingles)
        for index in sorted({index for band in bands for index in self._meeting.get(band, ())}):
            twin, known = self._kept[index]
            if jaccard(found, known) >= self._threshold:
                return twin
        for band in bands:
            self._meeting.setdefault(band, []).append(len(self._kept))
        self._kept.append((key, found))
        return None
