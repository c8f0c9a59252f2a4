"""The word count of a text, as Self-Lengthen measures every length and reports show it."""

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["count", "counts"]

# Han characters, their punctuation, and full-width forms.
_ONE_WORD_EACH = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_LETTER, _SPACE, _ALONE = range(3)
# Bytes of text that are counted at once, unless a single text is longer.
_BYTES_AT_ONCE = 4 << 20


def count(text: str) -> int:
    """Words of `text`: each Chinese character or full-width sign, and each run of other characters between white space.

    White space is as Unicode defines it: a no-break space is included, a zero-width space is not.

    Counts as the published code does (arXiv 2410.23933), so that lengths can be compared: a run of kana or hangul is
    one word, and so is a dash between spaces.
    """
    rest, characters = _ONE_WORD_EACH.subn(" ", text)
    return characters + len(rest.split())


def counts(texts: pa.Array) -> NDArray[np.int64]:
    """The `count` of each of several texts, none of them null."""
    if len(texts) > 1 and texts.nbytes > _BYTES_AT_ONCE:
        half = len(texts) // 2
        return np.concatenate([counts(texts[:half]), counts(texts[half:])])
    texts = texts.cast(pa.large_binary())
    edges = np.frombuffer(texts.buffers()[1] or b"", np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = texts.buffers()[2]
    if not len(texts) or content is None:
        return np.zeros(len(texts), np.int64)
    written = content.slice(edges[0].item(), (edges[-1] - edges[0]).item())
    codes = np.frombuffer(written, np.uint8)
    edges = edges - edges[0]
    if codes.size and codes.max() >= 0x80:
        codes = np.frombuffer(str(written, "utf-8").encode("utf-32-le"), np.uint32)
        edges = np.cumsum(np.concatenate([[0], pc.utf8_length(texts.cast(pa.large_string())).to_numpy()]))
        codes = np.minimum(codes, 0xFFFF)
    kinds = _kinds()[codes]
    # A word begins at a letter after something else, and at the first letter of a text.
    begins = kinds == _LETTER
    begins[1:] &= kinds[:-1] != _LETTER
    first = edges[:-1][edges[:-1] < edges[1:]]
    begins[first] = kinds[first] == _LETTER
    places = np.flatnonzero(begins | (kinds == _ALONE))
    return np.diff(np.searchsorted(places, edges))


@cache
def _kinds() -> NDArray[np.uint8]:
    """What each character is; all beyond these are letters."""
    characters = list(map(chr, range(1 << 16)))
    kinds = np.array([_SPACE if character.isspace() else _LETTER for character in characters], np.uint8)
    kinds[[bool(_ONE_WORD_EACH.match(character)) for character in characters]] = _ALONE
    return kinds
