"""Splits many texts into words at once: the words that the patterns of `words` find, at the speed of arrays."""

import re
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth.pipelines.runtime.text.characters import combining
from synth.pipelines.runtime.text.unicode_ranges import SPACELESS

__all__ = ["Indices", "split"]

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Kinds of characters; some marks of scripts without blanks are of two kinds.
LETTER, MARK, ALONE = 1, 2, 4
# No later character is of any kind.
LAST = 0x3FFFF
# A byte for each character of ASCII, 1 for those of words.
IS_LETTER = bytes(bool(re.match(r"\w", chr(code), re.ASCII)) for code in range(256))


def split(text: str, starts: Indices, *, signed: bool) -> tuple[Indices, list[str], Indices]:
    """The words of texts that stand in `text` one after the other, each from its index in `starts` on.

    Each comes with all up to the next word. Returns the number of each word in order, the distinct ones by number, and
    the index of the first character of each. If `signed`, what comes before the first word of a text is one, too.
    """
    if text.isascii():
        encoded, size = text.encode(), 1
        # An index of bytes would become one of eight times the size.
        begins = _first_of_each(np.frombuffer(encoded.translate(IS_LETTER), np.bool_))
    else:
        encoded, size = text.encode("utf-32-le", "surrogatepass"), 4
        begins = _word_begins(np.take(_kinds(), np.frombuffer(encoded, np.uint32), mode="clip"))
    if signed:
        begins[starts[starts < len(text)]] = True
    firsts = np.flatnonzero(begins)
    buffers = [None, pa.py_buffer(np.append(firsts, len(text)) * size), pa.py_buffer(encoded)]
    numbered = pa.Array.from_buffers(pa.large_binary(), len(firsts), buffers).dictionary_encode()
    encoding = "utf-8" if size == 1 else "utf-32-le"
    distinct = [word.decode(encoding, "surrogatepass") for word in numbered.dictionary.to_pylist()]
    return numbered.indices.to_numpy(), distinct, firsts


def _first_of_each(inside: Flags) -> Flags:
    """The first ones of all runs."""
    firsts = inside.copy()
    np.greater(inside[1:], inside[:-1], out=firsts[1:])
    return firsts


def _word_begins(kinds: npt.NDArray[np.uint8]) -> Flags:
    """Which characters begin a word, by their kinds."""
    letters = (kinds & LETTER) > 0
    marks = (kinds & MARK) > 0
    # Marks belong to the word of the letter before them.
    bearers = np.maximum.accumulate(np.where(marks, 0, np.arange(len(kinds), dtype=np.int32)))
    joined = letters | (marks & letters[bearers])
    alone: Flags = ((kinds & ALONE) > 0) & ~joined
    return _first_of_each(joined) | alone


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """The kinds of all characters up to `LAST`, by code."""
    kinds = np.zeros(LAST + 1, np.uint8)
    characters = np.arange(LAST + 1, dtype=np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
    for run in re.finditer(rf"[^\W{SPACELESS}]+", characters):
        kinds[run.start() : run.end()] |= LETTER
    for kind, ranges in ((MARK, combining()), (ALONE, SPACELESS)):
        # Each range is two characters with a dash between them.
        for first, last in zip(ranges[::3], ranges[2::3], strict=True):
            kinds[ord(first) : ord(last) + 1] |= kind
    return kinds
