"""Text as terms: the one place that says what a word is, for documents, for queries and for marking hits.

For text in letters and digits it is Lucene's standard analyzer: words by Unicode's default boundaries (UAX #29, of late
without the colon), so that `don't`, `3.14` and `snake_case` are one term each, in lower case, none of them left out.
Beyond it, compatibility forms are folded (NFKC), and writing without spaces between words (Chinese, Japanese, Korean,
Thai, Lao, Burmese, Khmer) becomes overlapping pairs of characters. Everything else separates, control characters and
lone surrogates among it.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, islice, pairwise
from typing import TypeVar

from synth.pipelines.runtime.text.unicode_ranges import HANGUL, SPACELESS

__all__ = ["VERSION", "Analysis", "passages", "slices", "spans"]

T = TypeVar("T")

# Rises when the same text would give other terms.
VERSION = 2
# Lucene's limit: of a longer word every so many characters are a term.
LONGEST_TERM = 255
CHARACTERS_AT_A_TIME = 1 << 16
STEMS_REMEMBERED = 1 << 17

_UNSPACED = SPACELESS + HANGUL
_RUN = re.compile(f"[{_UNSPACED}]+")
_RUN_OR_REST = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED}]+")
_UNBROKEN = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]{{1,{LONGEST_TERM}}}")
# Nothing that is done to a text takes such a letter away: most texts that have terms show it at once.
_PLAIN = re.compile("[A-Za-z0-9\u0430-\u044f\u3041-\u3096\u4e00-\u9fff\uac00-\ud7a3]")
# They stand inside words and are not seen.
_INVISIBLE = re.compile("[\u00ad\u200c-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe00-\ufe0f\ufeff]")


class Analysis:
    """Words of a text, as terms of an index. With `stem`, English endings are cut off (Snowball)."""

    def __init__(self, *, stem: bool = False) -> None:
        self._stem = _english_stemmer() if stem else None

    def words(self, text: str) -> Iterator[str]:
        """The words in order, folded but not stemmed; no more of them in memory than a part of the text has."""
        return chain.from_iterable(map(_words, _parts(text)))

    def terms(self, text: str) -> Iterator[str]:
        """The terms in order."""
        words = self.words(text)
        return map(self._stem, words) if self._stem else words

    def has_terms(self, text: str) -> bool:
        return bool(_PLAIN.search(text)) or next(self.words(text), None) is not None

    def occurring(self, terms: Sequence[str], text: str) -> list[str]:
        """Those words of the text whose term is one of `terms`, in the order of these."""
        if self._stem is None:
            found = set(terms).intersection(self.words(text))
            return [term for term in terms if term in found]
        order = {term: place for place, term in enumerate(terms)}
        words = {word: order.get(self._stem(word)) for word in set(self.words(text))}
        return [word for _, word in sorted((place, word) for word, place in words.items() if place is not None)]


def spans(text: str, words: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where such `words` as `Analysis.words` gives stand in `text`: start and end of each, in order."""
    for whole in _any_word().finditer(text):
        for piece in _RUN_OR_REST.finditer(text, *whole.span()):
            start, end = piece.span()
            pairs = [(at, at + 2) for at in range(start, end - 1)] if piece[1] else []
            for first, last in pairs or [(start, end)]:
                if not set(words).isdisjoint(_words(text[first:last])):
                    yield first, last


def passages(terms: Iterator[T], size: int) -> Iterator[list[T]]:
    """`size` terms each; a rest of less than half of that goes with the last."""
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
    """The text itself in such passages. Words end at white space here; in writing without it each character is one."""
    for words in passages((word.span() for word in _UNBROKEN.finditer(text)), size):
        yield text[words[0][0] : words[-1][1]]


def _parts(text: str) -> Iterator[str]:
    """The text cut at white space, where no term can be, into parts that are not long."""
    start = 0
    while len(text) - start > CHARACTERS_AT_A_TIME:
        limit = start + CHARACTERS_AT_A_TIME
        end = max(text.rfind(blank, start + 1, limit) for blank in " \n")
        end = limit if end < 0 else end
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def _words(text: str) -> list[str]:
    if text.isascii():
        text = text.lower()
        words = _ASCII_WORD.findall(text)
    else:
        text = _folded(text)
        words = _any_word().findall(text)
    if "_" in text:
        words = [word for word in words if word.strip("_")]
    if max(map(len, words), default=0) > LONGEST_TERM:
        words = [word[at : at + LONGEST_TERM] for word in words for at in range(0, len(word), LONGEST_TERM)]
    return words


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold().replace("’", "'")
    return _RUN.sub(_in_pairs, folded)


def _in_pairs(run: re.Match[str]) -> str:
    characters = run[0]
    return f" {' '.join(map(''.join, pairwise(characters))) or characters} "


def _word(word: str, letter: str, digit: str) -> re.Pattern[str]:
    """Runs of word characters, joined by a point and the like between letters or digits (WB6, WB7, WB11, WB12)."""
    point = f"['’.·](?<={letter}.)(?={letter})|['.,;](?<={digit}.)(?={digit})"
    return re.compile(f"{word}(?:(?:{point}){word})*")


_ASCII_WORD = _word("[a-z0-9_]+", "[a-z]", "[0-9]")


@cache
def _any_word() -> re.Pattern[str]:
    marks = "".join(
        character for character in map(chr, range(0x300, 0x10000)) if unicodedata.category(character)[0] == "M"
    )
    return _word(rf"(?:[a-z0-9_]++|\w++|[{marks}]++)++", r"[^\W\d_]", r"\d")


@cache
def _english_stemmer() -> Callable[[str], str]:
    import tantivy

    stemmer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer("english")).build()
    return lru_cache(STEMS_REMEMBERED)(lambda word: stemmer.analyze(word)[0])
