"""Hashes of words, and of windows of consecutive words, to compare texts.

A word is a run of letters, digits, underscores and combining marks. In scripts without blanks between words, each
character is a word. Invisible characters are ignored. There are two tokenizations:

`words` are words alone, ignoring case (NFKC, case-folded), to find copies of a question.
`signed_words` include the signs after a word, so that `a + b` is not `a - b`, to find texts with the same meaning.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import xxhash

from synth.pipelines.runtime.text.characters import combining, nfkc, without_invisible
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
# Characters per list of words, and number of words whose hashes are cached.
PORTION = 1 << 20
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
    text = without_invisible(text)
    if "&" in text:
        text = without_invisible(_ENTITY.sub(lambda entity: html.unescape(entity[0]), text))
    if "_" in text:
        text = _EMPHASIS.sub(" ", text)
    if text.isascii():
        text, pattern = text.lower(), _WORD_OF_ASCII
    else:
        text, pattern = unicodedata.normalize("NFKC", text).casefold(), _word()
    for start, end in spans(text, _BEFORE_WORDS):
        yield pattern.findall(text, start, end)


def signed_words(text: str) -> Iterator[list[str]]:
    """All words of `text` in order, in lists like those of `words`, each with the text up to the next word.

    Signs before the first word count as a word. Words are compared by their `_signed_form`.
    """
    # White space after the last word, so that its signs are read like those of others.
    text = f"{nfkc(text).strip()}\n"
    if text == "\n":
        return
    pattern = _SIGNED_WORD_OF_ASCII if text.isascii() else _signed_word()
    for start, end in spans(text, _WORD_AFTER_BLANK):
        yield pattern.findall(text, start, end)


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
    found = (_WORD_OF_ASCII if word.isascii() else _word()).match(word)
    bare = found[0] if found else ""
    is_name = not _SIGNS_OF_PROSE.fullmatch(word, len(bare)) or not (bare.isupper() or bare[1:] == bare[1:].lower())
    return (joined if is_name else joined.casefold()).translate(_NORMALIZED)


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


_HASHES_OF_WORDS = _Vocabulary(str)
_HASHES_OF_SIGNED_WORDS = _Vocabulary(_signed_form)


def word_hashes(texts: Iterable[str], *, signed: bool = False) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of all words of all texts, and `starts`: those of text `i` are from `starts[i]` to `starts[i + 1]`."""
    split = signed_words if signed else words
    known = (_HASHES_OF_SIGNED_WORDS if signed else _HASHES_OF_WORDS).__getitem__
    parts: list[Hashes] = [np.empty(0, np.uint64)]
    counts = []
    for text in texts:
        count = 0
        for portion in split(text):
            parts.append(np.fromiter(map(known, portion), np.uint64, len(portion)))
            count += len(portion)
        counts.append(count)
    return np.concatenate(parts), _starts(np.array(counts, np.int64))


def windows(hashes: Hashes, starts: npt.NDArray[np.int64], length: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of each window of `length` consecutive words, and the starts of each text, as in `word_hashes`.

    A text of fewer words is a single window; an empty one has none.
    """
    counts = np.diff(starts)
    if len(hashes) >= length:
        found = combined_hashes([hashes[i : len(hashes) - length + 1 + i] for i in range(length)])
    else:
        found = np.empty(0, np.uint64)
    found = np.concatenate([found, np.zeros(len(hashes) - len(found), np.uint64)])
    # Drop windows that extend into the next text, and all but one of a short text.
    left = np.repeat(starts[1:], counts) - np.arange(len(hashes))
    is_first = np.zeros(len(hashes), bool)
    is_first[starts[:-1][counts > 0]] = True
    for text in np.flatnonzero((counts > 0) & (counts < length)):
        found[starts[text]] = combined_hashes(list(hashes[starts[text] : starts[text + 1], None]))[0]
    kept = np.where(counts >= length, counts - length + 1, np.minimum(counts, 1))
    return found[(left >= length) | is_first], _starts(kept)


def combined_hashes(columns: list[Hashes]) -> Hashes:
    """One hash per row over `columns`; the order of columns matters."""
    combined = np.zeros_like(columns[0])
    for column in columns:
        combined *= _FACTOR
        combined += column
    return combined ^ (combined >> np.uint64(31))


def _starts(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
