"""Text analysis: splits documents and queries into terms, and finds matching words to highlight.

Text in letters and digits is analyzed as by Lucene's standard analyzer: words by Unicode's default boundaries (UAX #29,
in recent versions without the colon), so that `don't`, `3.14` and `snake_case` are one term each, in lower case. No
stop words are removed. In addition, compatibility forms are folded (NFKC), and scripts without spaces between words
(Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer) become overlapping character bigrams. Everything else separates
words, including control characters and lone surrogates.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, islice, pairwise
from typing import TypeVar

from synth.pipelines.runtime.text.unicode_ranges import HANGUL, SPACELESS

__all__ = ["VERSION", "Analysis", "cut_point", "passages", "slices", "spans"]

T = TypeVar("T")

# Incremented when the terms of any text change.
VERSION = 2
# Lucene's limit: longer words are split into terms of this length.
MAX_TERM_LENGTH = 255
CHARACTERS_AT_A_TIME = 1 << 16
STEMS_REMEMBERED = 1 << 17

_UNSPACED = SPACELESS + HANGUL
_RUN = re.compile(f"[{_UNSPACED}]+")
_RUN_OR_REST = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED}]+")
_UNBROKEN = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]{{1,{MAX_TERM_LENGTH}}}")
# Characters that always end up in a term: a fast path, as most texts with terms have one early on.
_PLAIN = re.compile("[A-Za-z0-9\u0430-\u044f\u3041-\u3096\u4e00-\u9fff\uac00-\ud7a3]")
# Invisible characters inside words.
_INVISIBLE = re.compile("[\u00ad\u200c-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe00-\ufe0f\ufeff]")


class Analysis:
    """Splits text into the terms of an index. With `stem`, English endings are removed (Snowball)."""

    def __init__(self, *, stem: bool = False) -> None:
        self._stem = _english_stemmer() if stem else None

    def words(self, text: str) -> Iterator[str]:
        """The words in order, folded but not stemmed; holds the words of one part of the text in memory."""
        return chain.from_iterable(map(_words, _parts(text)))

    def terms(self, text: str) -> Iterator[str]:
        words = self.words(text)
        return map(self._stem, words) if self._stem else words

    def has_terms(self, text: str) -> bool:
        return bool(_PLAIN.search(text)) or next(self.words(text), None) is not None

    def occurring(self, terms: Sequence[str], text: str) -> list[str]:
        """The words of the text whose term is one of `terms`, in the order of `terms`."""
        if self._stem is None:
            found = set(terms).intersection(self.words(text))
            return [term for term in terms if term in found]
        order = {term: rank for rank, term in enumerate(terms)}
        ranked = [(order.get(self._stem(word)), word) for word in set(self.words(text))]
        return [word for _, word in sorted((rank, word) for rank, word in ranked if rank is not None)]


def spans(text: str, words: Collection[str]) -> Iterator[tuple[int, int]]:
    """The start and end of each occurrence in `text` of any of `words`, as from `Analysis.words`, in order."""
    for whole in _any_word().finditer(text):
        for piece in _RUN_OR_REST.finditer(text, *whole.span()):
            start, end = piece.span()
            pairs = [(at, at + 2) for at in range(start, end - 1)] if piece[1] else []
            for first, last in pairs or [(start, end)]:
                if not set(words).isdisjoint(_words(text[first:last])):
                    yield first, last


def passages(terms: Iterator[T], size: int) -> Iterator[list[T]]:
    """Groups of `size` terms; a remainder of less than half of that joins the last group."""
    passage = list(islice(terms, size))
    while following := list(islice(terms, size)):
        if 2 * len(following) < size:
            passage += following
        else:
            yield passage
            passage = following
    if passage:
        yield passage


def slices(text: str, size: int) -> Iterator[str]:
    """The text cut into `passages` of words, delimited by white space; in scripts without it, of characters."""
    for words in passages((word.span() for word in _UNBROKEN.finditer(text)), size):
        yield text[words[0][0] : words[-1][1]]


def _parts(text: str) -> Iterator[str]:
    """The text in parts of bounded length, cut at white space so that no term is split."""
    start = 0
    while len(text) - start > CHARACTERS_AT_A_TIME:
        end = cut_point(text, start, start + CHARACTERS_AT_A_TIME)
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def cut_point(text: str, start: int, end: int) -> int:
    """The last blank of `text[start:end]` after its first character; `end` if there is none."""
    blank = max(text.rfind(blank, start + 1, end) for blank in " \n")
    return end if blank < 0 else blank


def _words(text: str) -> list[str]:
    if text.isascii():
        text = text.lower()
        words = _ASCII_WORD.findall(text)
    else:
        text = _folded(text)
        words = _any_word().findall(text)
    if "_" in text:
        words = [word for word in words if word.strip("_")]
    if max(map(len, words), default=0) > MAX_TERM_LENGTH:
        words = [word[at : at + MAX_TERM_LENGTH] for word in words for at in range(0, len(word), MAX_TERM_LENGTH)]
    return words


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold().replace("’", "'")
    return _RUN.sub(lambda run: f" {' '.join(map(''.join, pairwise(run[0]))) or run[0]} ", folded)


def _word(word: str, letter: str, digit: str) -> re.Pattern[str]:
    """Runs of word characters, joined by points and similar signs between letters or digits (WB6, WB7, WB11, WB12)."""
    point = f"['’.·](?<={letter}.)(?={letter})|['.,;](?<={digit}.)(?={digit})"
    return re.compile(f"{word}(?:(?:{point}){word})*")


_ASCII_WORD = _word("[a-z0-9_]+", "[a-z]", "[0-9]")


@cache
def _any_word() -> re.Pattern[str]:
    marks = "".join(sign for sign in map(chr, range(0x300, 0x10000)) if unicodedata.category(sign)[0] == "M")
    return _word(rf"(?:[a-z0-9_]++|\w++|[{marks}]++)++", r"[^\W\d_]", r"\d")


@cache
def _english_stemmer() -> Callable[[str], str]:
    from Stemmer import Stemmer

    # Without a cache of its own.
    return lru_cache(STEMS_REMEMBERED)(Stemmer("english", 0).stemWord)
