"""Hashes of words, and of windows of consecutive words, to compare texts.

A word is a run of letters, digits, underscores and combining marks. In scripts without blanks between words, each
character is a word. Invisible characters are ignored. There are two tokenizations:

`words` are words alone, ignoring case (NFKC, case-folded), to find copies of a question.
`signed_words` include the signs after a word, so that `a + b` is not `a - b`, to find texts with the same meaning.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import xxhash

from synth.pipelines.runtime.text.characters import combining, nfkc, without_invisible
from synth.pipelines.runtime.text.splitting import Indices, split
from synth.pipelines.runtime.text.unicode_ranges import SPACELESS

__all__ = [
    "Hashes",
    "combined_hashes",
    "joined_variants",
    "operators",
    "signed_words",
    "spans",
    "windows",
    "without_punctuation",
    "word_hashes",
    "words",
]

Hashes = npt.NDArray[np.uint64]

_WORD_OF_ASCII = re.compile(r"\w+", re.ASCII)
# Signs before the first word count as a word.
_SIGNED_WORD_OF_ASCII = re.compile(r"\w+\W*|\W+", re.ASCII)
_BEFORE_WORDS = re.compile(rf"[\s{SPACELESS}]")
_WORD_AFTER_BLANK = re.compile(rf"(?<=\s)\w|[{SPACELESS}]")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|[a-zA-Z]\w*);")
_EMPHASIS = re.compile(r"\b_+|_+\b")
_CUT_WORD = re.compile(r"[-\u2010](?<=[^\W\d_].)[^\S\n]*\n\s*(?=[^\W\d_])")
# Signs after a word in prose: the end of a clause or a quotation, a blank, the beginning of the next one.
_SIGNS_OF_PROSE = re.compile(r"[.,;:!?…'\"”’)\]]*\s+['\"“‘(\[]*")
_NORMALIZED = str.maketrans(
    dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟«»", '"') | dict.fromkeys("\u2010\u2011\u2012–—―−", "-")
)
_OPERATOR = re.compile(r"[+*/^=<>%×÷±≤≥≠]|(?<=\d)-|(?<=\d\s)-|-(?=\s?\d)")
# Ends of clauses before a blank (`5!` is a number), quotation marks, and dashes between words.
_PUNCTUATION = re.compile(
    r"(?:[.,;:?…。、，；：？¿¡]|(?<![\d)])[!！])+(?=[\s\"'”’)\]]|\Z)"
    r"|[\"'`“”„‟«»‘’‚‛]|(?<=[^\W\d_]{2})\s*[-\u2010-\u2015]+\s*(?=[^\W\d_]{2})"
)
# Characters per list of words, characters split at once, those that are too few for arrays, and number of words whose
# hashes are cached.
PORTION = 1 << 20
AT_ONCE = 1 << 21
FEW = 1 << 12
VOCABULARY = 1 << 19
# An odd multiplier, as of linear congruential generators.
_FACTOR = np.uint64(6364136223846793005)


class _Vocabulary(dict[str, int]):
    """Cache of word to the hash of its `form`: words repeat so often that a lookup is cheaper than hashing."""

    def __init__(self, form: Callable[[str], str]) -> None:
        self._form = form

    def __missing__(self, word: str) -> int:
        if len(self) >= VOCABULARY:
            self.clear()
        # JSON may contain lone surrogates, which have no UTF-8 form.
        self[word] = number = xxhash.xxh3_64_intdigest(self._form(word).encode("utf-8", "surrogatepass"))
        return number


def words(text: str) -> Iterator[list[str]]:
    """All words of `text` in order, in one list per `PORTION` characters; HTML entities are decoded."""
    text = _bare_form(text)
    pattern = _pattern(text, signed=False)
    for start, end in spans(text, _BEFORE_WORDS):
        yield pattern.findall(text, start, end)


def _bare_form(text: str) -> str:
    text = without_invisible(text)
    if "&" in text:
        text = without_invisible(_ENTITY.sub(lambda entity: html.unescape(entity[0]), text))
    if "_" in text:
        text = _EMPHASIS.sub(" ", text)
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def signed_words(text: str) -> Iterator[list[str]]:
    """All words of `text` in order, in lists like those of `words`, each with the text up to the next word.

    Signs before the first word count as a word. Words are compared by their `_signed_form`.
    """
    text = _with_signs(text)
    pattern = _pattern(text, signed=True)
    for start, end in spans(text, _WORD_AFTER_BLANK):
        yield pattern.findall(text, start, end)


def _with_signs(text: str) -> str:
    text = nfkc(text).strip()
    # White space after the last word, so that its signs are read like those of others.
    return f"{text}\n" if text else ""


def joined_variants(text: str) -> list[str]:
    """The text; and the text with words joined that are hyphenated at line ends, if there are any."""
    if "\n" not in text:
        return [text]
    seen = without_invisible(text)
    return [text, _CUT_WORD.sub("", seen)] if _CUT_WORD.search(seen) else [text]


def operators(text: str) -> frozenset[str]:
    """The signs of arithmetic and comparison in a text; a dash counts only next to a digit."""
    return frozenset("".join(_OPERATOR.findall(nfkc(text).translate(_NORMALIZED))).replace("×", "*").replace("÷", "/"))


def without_punctuation(text: str) -> str:
    """The text case-folded, without punctuation, quotation marks and hyphens; signs as in `a + b` and C++ stay."""
    return _PUNCTUATION.sub(" ", nfkc(text).casefold())


def _signed_form(word: str) -> str:
    """The word and its signs without white space, with one form of dashes and of quotation marks.

    Case matters in names of formulas and programs: before signs that prose does not have (`N - n`, `Foo(x)`), and if
    there are inner capitals (`camelCase`).
    """
    joined = "".join(word.split())
    if joined.islower() and joined.isalpha():
        return joined.casefold()
    bare = _bare_word(word)
    is_name = not _SIGNS_OF_PROSE.fullmatch(word, len(bare)) or not (bare.isupper() or bare[1:] == bare[1:].lower())
    return (joined if is_name else joined.casefold()).translate(_NORMALIZED)


def _pattern(text: str, *, signed: bool) -> re.Pattern[str]:
    """The pattern of words in a text in its form to split."""
    if text.isascii():
        return _SIGNED_WORD_OF_ASCII if signed else _WORD_OF_ASCII
    return _signed_word() if signed else _word()


@cache
def _word() -> re.Pattern[str]:
    letters = rf"[^\W{SPACELESS}]"
    # A mark on its own is a sign; some scripts write vowels as marks.
    return re.compile(rf"{letters}+(?:[{combining()}]+{letters}*)*|[{SPACELESS}]")


@cache
def _signed_word() -> re.Pattern[str]:
    signs = rf"[^\w{SPACELESS}]"
    return re.compile(rf"(?:{_word().pattern}){signs}*|{signs}+")


def spans(text: str, border: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Spans of a long text of about `PORTION` characters each: all but the first begin with a `border`."""
    start = 0
    while start < len(text):
        found = border.search(text, start + PORTION)
        end = found.start() if found else len(text)
        yield start, end
        start = end


def _bare_word(word: str) -> str:
    """The word without what comes after it."""
    found = _pattern(word, signed=False).match(word)
    return found[0] if found else ""


_HASHES_OF_WORDS = _Vocabulary(_bare_word)
_HASHES_OF_SIGNED_WORDS = _Vocabulary(_signed_form)


def word_hashes(texts: Iterable[str], *, signed: bool = False) -> tuple[Hashes, Indices]:
    """Hashes of all words of all texts, and `starts`: those of text `i` are from `starts[i]` to `starts[i + 1]`.

    The words are those of `words`, or of `signed_words`; both are found for many texts at once.
    """
    form, border = (_with_signs, _WORD_AFTER_BLANK) if signed else (_bare_form, _BEFORE_WORDS)
    parts: list[Hashes] = [np.empty(0, np.uint64)]
    counts: list[int] = []
    for owners, pieces in _batches(map(form, texts), border):
        hashes, found = _hashes_of_pieces(pieces, signed=signed)
        parts.append(hashes)
        counts.extend([0] * (owners[-1] + 1 - len(counts)))
        for owner, count in zip(owners, found.tolist(), strict=True):
            counts[owner] += count
    return np.concatenate(parts), _starts(np.array(counts, np.int64))


def _batches(texts: Iterable[str], border: re.Pattern[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Texts, long ones in pieces, of some `AT_ONCE` characters, and the number of the text that each is of."""
    owners: list[int] = []
    pieces: list[str] = []
    size = 0
    for number, text in enumerate(texts):
        cut = (text,) if len(text) <= PORTION else (text[start:end] for start, end in spans(text, border))
        for piece in cut:
            owners.append(number)
            pieces.append(piece)
            size += len(piece)
            if size >= AT_ONCE:
                yield owners, pieces
                owners, pieces, size = [], [], 0
    if pieces:
        yield owners, pieces


def _hashes_of_pieces(pieces: Sequence[str], *, signed: bool) -> tuple[Hashes, Indices]:
    """Hashes of all words of texts in their form to split, and the number of words of each."""
    known = _HASHES_OF_SIGNED_WORDS if signed else _HASHES_OF_WORDS
    if sum(map(len, pieces)) < FEW:
        found = [_pattern(piece, signed=signed).findall(piece) for piece in pieces]
        return np.array([known[word] for part in found for word in part], np.uint64), np.array(list(map(len, found)))
    between = "" if signed else "\n"
    starts = _starts(np.fromiter(map(len, pieces), np.int64, len(pieces)) + len(between))
    numbers, distinct, firsts = split(f"{between.join(pieces)}{between}", starts, signed=signed)
    hashes = np.fromiter(map(known.__getitem__, distinct), np.uint64, len(distinct))
    return hashes[numbers], np.diff(np.searchsorted(firsts, starts))


def windows(hashes: Hashes, starts: Indices, length: int) -> tuple[Hashes, Indices]:
    """Hashes of each window of `length` consecutive words, and the starts of each text, as in `word_hashes`.

    A text of fewer words is a single window; an empty one has none.
    """
    counts = np.diff(starts)
    found = np.zeros(len(hashes), np.uint64)
    is_window = np.ones(len(hashes), bool)
    if len(hashes) >= length:
        found[: len(hashes) - length + 1] = combined_hashes(
            [hashes[place : len(hashes) - length + 1 + place] for place in range(length)]
        )
    # These extend into the next text.
    is_window[starts[1:][counts >= length, None] - np.arange(1, length)] = False
    for count in np.unique(counts[(counts > 0) & (counts < length)]).tolist():
        firsts = starts[:-1][counts == count]
        found[firsts] = combined_hashes([hashes[firsts + place] for place in range(count)])
        is_window[firsts[:, None] + np.arange(1, count)] = False
    return found[is_window], _starts(np.where(counts >= length, counts - length + 1, np.minimum(counts, 1)))


def combined_hashes(columns: list[Hashes]) -> Hashes:
    """One hash per row over `columns`; the order of columns matters."""
    combined = np.zeros_like(columns[0])
    for column in columns:
        combined *= _FACTOR
        combined += column
    return combined ^ (combined >> np.uint64(31))


def _starts(counts: Indices) -> Indices:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
