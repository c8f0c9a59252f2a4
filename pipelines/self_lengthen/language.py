"""Detect whether a text is Chinese, English or in another language, to choose the rules for it."""

import re
from typing import Literal

from synth.pipelines.runtime.text.unicode_ranges import SPACELESS

__all__ = ["Language", "of"]

Language = Literal["zh", "en", "other"]

# Characters examined of a long text.
MAX_CHARACTERS = 20_000
# Minimum share of Han characters among all characters and words; the rest may be names, terms and code.
MIN_HAN = 0.3
# Kana per Han character; Japanese has more than one, but a Chinese text may quote some.
MAX_KANA = 0.2
# Minimum share of frequent English words in a longer text. In English it is about a quarter, elsewhere almost none.
MIN_ENGLISH = 0.06
MIN_LONG_WORDS = 30

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_WORD = re.compile(rf"[^\W\d_{SPACELESS}]+(?:'[^\W\d_{SPACELESS}]+)*")

# Frequent English words that are rare in other languages.
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "the and of to that is for with it as are this by from or be which have has not you your will would about can "
        "could should their they what how when where why who more most than there these those its his her our my into "
        "write please describe explain",
    )
)
# Frequent non-English words of languages in Latin script: German, French, Spanish, Italian, Portuguese, Dutch, Swedish
# and related languages, Indonesian, Polish, Turkish.
_FOREIGN = frozenset(
    re.findall(
        r"\w+",
        "und das ein eine einen einer ist nicht mit von zu auf für über dem den der "
        "le la les des du une un est dans pour que qui sur et au aux avec "
        "el los las una uno del por con para como sobre y su más "
        "il lo gli della di che nel sono è "
        "os uma em não com da dos na ao "
        "het een van en niet dat op voor zijn "
        "och att det som på av är og til jeg "
        "yang dan untuk dengan dari ini pada "
        "się nie jest że w z "
        "ve bir için bu",
    )
)


def of(text: str) -> Language:
    """The language of `text`, by its script and, in Latin script, by frequent words.

    Short texts without such words are English if they are ASCII. Japanese and texts without letters are `other`.
    """
    beginning = text[:MAX_CHARACTERS]
    han = len(_HAN.findall(beginning))
    words = [word.lower() for word in _WORD.findall(beginning.replace("’", "'"))]
    kana = len(_KANA.findall(beginning))
    if han and han >= MIN_HAN * (han + kana + len(words)):
        return "zh" if kana < MAX_KANA * han else "other"
    if not words or kana > len(words):
        return "other"
    english = sum(word in _ENGLISH for word in words)
    foreign = sum(word in _FOREIGN for word in words)
    if len(words) < MIN_LONG_WORDS:
        return "en" if english > foreign or (english == foreign and all(map(str.isascii, words))) else "other"
    return "en" if english > foreign and english >= MIN_ENGLISH * len(words) else "other"
