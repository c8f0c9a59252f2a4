"""Which rules a text comes under: those for Chinese, those for English, or those for all other languages."""

import re
from typing import Literal

from synth.pipelines.runtime.text.unicode_ranges import SPACELESS

__all__ = ["Language", "of"]

Language = Literal["zh", "en", "other"]

# What is looked at of a long text.
BEGINNING = 20_000
# Of its characters and words together, those that are Han: the rest may be names, terms and code.
CHINESE = 0.3
# Kana for each Han character; Japanese has more than one, a Chinese text may quote some.
JAPANESE = 0.2
# Of the words of a longer English text, those listed here. There are about a quarter, in other languages hardly any.
ENGLISH = 0.06
LONGER = 30

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_WORD = re.compile(rf"[^\W\d_{SPACELESS}]+(?:'[^\W\d_{SPACELESS}]+)*")

# Frequent words that few other languages have.
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "the and of to that is for with it as are this by from or be which have has not you your will would about can "
        "could should their they what how when where why who more most than there these those its his her our my into "
        "write please describe explain",
    )
)
# Frequent words of languages that are written in the same letters, which English has not: German, French, Spanish,
# Italian, Portuguese, Dutch, Swedish and its neighbours, Indonesian, Polish, Turkish.
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
    """The language of `text`, by its script and, in Latin letters, by its most frequent words.

    Short texts without any of these are English if their letters are ASCII. Japanese is not Chinese. A text without
    letters is in no language.
    """
    beginning = text[:BEGINNING]
    han = len(_HAN.findall(beginning))
    words = [word.lower() for word in _WORD.findall(beginning.replace("’", "'"))]
    kana = len(_KANA.findall(beginning))
    if han and han >= CHINESE * (han + kana + len(words)):
        return "zh" if kana < JAPANESE * han else "other"
    if not words or kana > len(words):
        return "other"
    english = sum(word in _ENGLISH for word in words)
    foreign = sum(word in _FOREIGN for word in words)
    if len(words) < LONGER:
        return "en" if english > foreign or (english == foreign and all(map(str.isascii, words))) else "other"
    return "en" if english > foreign and english >= ENGLISH * len(words) else "other"
