"""The words of texts as numbers, and windows of consecutive words: what texts are compared by.

A word is a run of letters, digits and underscores, without regard to case (NFKC, case-folded). Where a script puts no
blanks between words, each character is one.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import xxhash

from pipelines.scripts import SPACELESS

__all__ = ["Hashes", "folded", "spans", "windows", "word_hashes", "words"]

Hashes = npt.NDArray[np.uint64]

_WORD = re.compile(rf"[{SPACELESS}]|[^\W{SPACELESS}]+")
_WORD_OF_ASCII = re.compile(r"\w+", re.ASCII)
_BETWEEN_WORDS = re.compile(rf"[\W{SPACELESS}]")
# Characters whose words are held as text at a time, and words whose hashes are remembered.
PORTION = 1 << 20
VOCABULARY = 1 << 19
# An odd multiplier with irregular bits, as linear congruential generators use one.
_FACTOR = np.uint64(6364136223846793005)


class _Vocabulary(dict[str, int]):
    """Word to hash. Words repeat so much that looking one up is cheaper than hashing it."""

    def __missing__(self, word: str) -> int:
        if len(self) >= VOCABULARY:
            self.clear()
        # A lone surrogate, which JSON may hold, has no UTF-8 form.
        self[word] = number = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        return number


_vocabulary = _Vocabulary()


def words(text: str) -> Iterator[list[str]]:
    """All words of `text` in order, in lists from about `PORTION` characters each."""
    if text.isascii():
        text, pattern = text.lower(), _WORD_OF_ASCII
    else:
        text, pattern = unicodedata.normalize("NFKC", text).casefold(), _WORD
    for start, end in spans(text, _BETWEEN_WORDS):
        yield pattern.findall(text, start, end)


def spans(text: str, border: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Where to cut a long text into pieces of about `PORTION` characters: all but the first begin with a `border`."""
    start = 0
    while start < len(text):
        found = border.search(text, start + PORTION)
        end = found.start() if found else len(text)
        yield start, end
        start = end


def word_hashes(texts: Iterable[str]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of all words of all texts; those of text `i` stand from `starts[i]` to `starts[i + 1]`."""
    known = _vocabulary.__getitem__
    parts: list[Hashes] = [np.empty(0, np.uint64)]
    counts = []
    for text in texts:
        count = 0
        for portion in words(text):
            parts.append(np.fromiter(map(known, portion), np.uint64, len(portion)))
            count += len(portion)
        counts.append(count)
    return np.concatenate(parts), _starts(np.array(counts, np.int64))


def windows(hashes: Hashes, starts: npt.NDArray[np.int64], length: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of every `length` consecutive words of each text, and their starts, as `word_hashes` gives them.

    A text of fewer words is one window, if it has any.
    """
    counts = np.diff(starts)
    if len(hashes) >= length:
        found = folded([hashes[i : len(hashes) - length + 1 + i] for i in range(length)])
    else:
        found = np.empty(0, np.uint64)
    found = np.concatenate([found, np.zeros(len(hashes) - len(found), np.uint64)])
    # What begins so late that it runs into the next text goes, and of a short text all but one.
    left = np.repeat(starts[1:], counts) - np.arange(len(hashes))
    is_first = np.zeros(len(hashes), bool)
    is_first[starts[:-1][counts > 0]] = True
    for text in np.flatnonzero((counts > 0) & (counts < length)):
        found[starts[text]] = folded(list(hashes[starts[text] : starts[text + 1], None]))[0]
    kept = np.where(counts >= length, counts - length + 1, np.minimum(counts, 1))
    return found[(left >= length) | is_first], _starts(kept)


def folded(columns: list[Hashes]) -> Hashes:
    """One hash for each row over `columns`, in which their order counts."""
    folded = np.zeros_like(columns[0])
    for column in columns:
        folded *= _FACTOR
        folded += column
    return folded ^ (folded >> np.uint64(31))


def _starts(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
