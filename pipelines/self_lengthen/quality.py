"""Check that a response is fit for training (arXiv 2410.23933): complete, on its subject, and without repetition.

The published code has separate rules for its Chinese and its English models; here the text's language chooses. Other
differences are explained at each rule.
"""

import re
import unicodedata

import numpy as np

from synth.pipelines.runtime.text.unicode_ranges import SPACELESS
from synth.pipelines.runtime.text.words import combined_hashes
from synth.pipelines.self_lengthen import language

__all__ = ["refusal"]

# Sentence ends in Chinese and English, half and full width, and characters that may end a text after or without one:
# closing quotes and brackets, and code fences. The published English set also has commas and dashes, and no curly
# quotes; the Chinese one has no ASCII full stop. An ellipsis of three dots is not a single last character.
_ENDS = frozenset(".!?…。！？．｡" + "\"'”’»›」』】》〉）〕］｝)]}>`＂＇")
# In other languages, any punctuation ends a text, except these, dashes and opening brackets, which announce more.
_CONTINUES = frozenset(",;:，、；：،؛՝፣፤፥᠂·・@#%&*/\\¿¡†‡")
# Scripts without a full stop: Thai, Lao, Khmer.
_NO_FULL_STOP = re.compile("[\u0e01-\u0e4e\u0e81-\u0ece\u1780-\u17d3]")
_EMPHASIS = "*_~ "

# Words by which an answer refers to itself. A title may contain them ("The King James Version"), unless it begins with
# a label of only such words ("Revised Version: The King").
_SELF_REFERENCE = re.compile(r"\b(?:revised|revision|response|version|paragraph)\b", re.IGNORECASE)
_LABEL = frozenset(
    re.findall(
        r"\w+",
        "the a an full final new improved updated extended expanded longer complete text article essay story "
        "revised revision response version paragraph",
    )
)
_MAX_TITLE_LENGTH = 100
_LINES_BEFORE, _LINES_AFTER = 2, 3

_LETTERS = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"\S+")
# A character in scripts without spaces, otherwise a word.
_UNIT = re.compile(rf"[{SPACELESS}]|[^\s{SPACELESS}]+")
_ENGLISH_REPEAT, _OTHER_REPEAT = 10, 13


def refusal(text: str) -> tuple[str, str] | None:
    """Why `text` is unfit, as a reason and a detail, or None: `empty`, `unfinished`, `about_itself`, `repetition`.

    Takes linear time.
    """
    text = text.rstrip()
    if not text:
        return "empty", "there is no text"
    lang = language.of(text)
    if not _is_finished(text, lang):
        return "unfinished", f"it ends with {text[-20:]!r}"
    if lang == "en" and (word := _self_reference(text)):
        return "about_itself", f"its first or last lines say {word!r}"
    pattern, length = (_WORD, _ENGLISH_REPEAT) if lang == "en" else (_UNIT, _OTHER_REPEAT)
    if repeated := _repeated(pattern.findall(text), length):
        return "repetition", f"{length} in a row occur twice: {' '.join(repeated):.200}"
    return None


def _is_finished(text: str, lang: language.Language) -> bool:
    last = (text.rstrip(_EMPHASIS) or text)[-1]
    if last in _ENDS:
        return True
    if lang != "other" or last in _CONTINUES:
        return False
    return unicodedata.category(last) in ("Po", "Pe", "Pf", "Pi") or bool(_NO_FULL_STOP.match(last))


def _self_reference(text: str) -> str | None:
    lines = text.split("\n")
    for line in (*lines[:_LINES_BEFORE], *lines[-_LINES_AFTER:]):
        if (found := _SELF_REFERENCE.search(line)) and not _is_title(line):
            return found[0]
    return None


def _is_title(line: str) -> bool:
    """Whether a line is a title: a heading, a line in bold, or one whose longer words are all capitalized."""
    line = line.strip()
    if len(line) > _MAX_TITLE_LENGTH or _LABEL.issuperset(_LETTERS.findall(line.partition(":")[0].lower())):
        return False
    is_marked = line.startswith("#") or (line.startswith("**") and line.endswith("**"))
    return is_marked or all(len(word) < 4 or word[0].isupper() for word in _LETTERS.findall(line))


def _repeated(units: list[str], length: int) -> list[str]:
    """The first `length` consecutive units that have occurred before; empty if none have."""
    if len(units) <= length:
        return []
    numbers: dict[str, int] = {}
    of_units = np.array([numbers.setdefault(unit, len(numbers)) for unit in units], np.uint64)
    count = len(units) - length + 1
    grams = combined_hashes([of_units[start : start + count] for start in range(length)]).tolist()
    seen: set[int] = set()
    if len(set(grams)) < count:
        for start, gram in enumerate(grams):
            if gram in seen:
                return units[start : start + length]
            seen.add(gram)
    return []
