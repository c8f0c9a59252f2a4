"""Reading questions and thoughts out of what a model replied, and measuring them. The text is parsed, no more."""

import re

from synth.pipelines.runtime.text.unicode_ranges import HANGUL, SPACELESS
from synth.pipelines.runtime.text.words import signed_words, without_punctuation

__all__ = ["cut", "plain", "read_questions", "read_thought", "words"]

_UNSPACED = re.compile(f"[{SPACELESS}{HANGUL}]")
# About as many characters say what a word of English does.
CHARACTERS_PER_WORD = 1.5
_WORD = re.compile(r"\w[\w'’-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\ufeff]")
_QUESTION = r"(?:q|question|问题|問題|質問|질문)"
# `1.`, `(1)`, `1、`, `**1.**`, `## 1)`, `1 -`, `Q1:`, `Question 1.`, `問題1：`, `①`
_NUMBER = re.compile(
    rf"^[\s>#]*([*_]*)(?:{_QUESTION}\s*)?(?:[(（\[]?\d{{1,3}}\s*(?:[.)）\]:：、．](?!\d)|[-–—]\s)|[①-⑳])(?:\1)?\s*",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^[\s>]*[-*+•‣◦–—·]\s+")
_LABEL = re.compile(rf"^{_QUESTION}\s*[:：]\s*", re.IGNORECASE)
# `**Ports**: What is a port?`, `**Ports:** What is a port?`, `**What is a port?** - It asks for the notion.`
_BOLD = re.compile(
    r"^\*\*(?P<bold>[^*]+?)(?::\*\*|：\*\*|\*\*\s*[:：]|\*\*\s*[-–—]\s|(?<=[?？؟])\*\*)\s*(?P<rest>\S.*)$"
)
_ASKS = tuple("?？؟")
_ENDS = (*_ASKS, *".!…。！")
_CLOSING = "*_\"'`”’»」』)） "
_QUOTES = dict(zip("\"'`*_“‘«»„「『", "\"'`*_”’»«“」』", strict=True))
_SENTENCE_END = re.compile(r"[.?!…][\"'”’)]*(?=\s)|[。？！][」』）]*")


def read_questions(reply: str) -> list[str]:
    """The items of the list in a reply, in order; none where there is no list.

    They are the numbered lines, or, if no numbered line asks anything, the lines with a bullet, or else the lines that
    end in a question mark. An item continues over lines until an end mark or the next item. Numbers, quotes,
    bold type and titles in bold type are taken off. Whatever is no item, such as a preamble, is left out.
    """
    lines = _said(reply).splitlines()
    lists = [[_clean(item) for item in _items(lines, mark)] for mark in (_NUMBER, _BULLET)]
    asking = [items for items in lists if any(item.endswith(_ASKS) for item in items)]
    bare = [line for line in map(_clean, lines) if line.endswith(_ASKS)]
    return next(filter(None, [*asking, *lists, bare]), [])


def read_thought(reply: str) -> str:
    """A thought on one line, without an opening paragraph that only announces it, and without quotes around it."""
    paragraphs = re.split(r"\n\s*\n", _said(reply).strip())
    if len(paragraphs) > 1 and paragraphs[0].rstrip(_CLOSING).endswith((":", "：")):
        del paragraphs[0]
    return _unquoted(" ".join(" ".join(paragraphs).split()))


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, up to the last end of a sentence, or else of a word, in their second half."""
    if len(text) <= limit:
        return text
    # The character after the last tells whether something ends there.
    head = text[: limit + 1]
    sentences = [end.end() for end in _SENTENCE_END.finditer(head)]
    for ends in (sentences, [gap.start() for gap in re.finditer(r"\s", head)]):
        if near := [end for end in ends if limit / 2 <= end <= limit]:
            return text[: near[-1]]
    return text[:limit]


def words(text: str) -> float:
    """How many words a text has. Where they do not stand apart, three characters count as two."""
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + len(_UNSPACED.findall(text)) / CHARACTERS_PER_WORD


def plain(text: str) -> str:
    """The words of a text, with their signs, without case, punctuation, and differences in width and space."""
    return " ".join("".join(word.split()) for portion in signed_words(without_punctuation(text)) for word in portion)


def _said(reply: str) -> str:
    """A reply without characters that no text needs."""
    return _CONTROL.sub("", reply)


def _items(lines: list[str], mark: re.Pattern[str]) -> list[str]:
    items: list[str] = []
    is_open = False
    for line in lines:
        if found := mark.match(line):
            items.append(line[found.end() :])
        elif is_open and _is_title(items[-1]):
            items[-1] += f" {_BULLET.sub('', line)}"
        elif is_open and line.strip() and not _BULLET.match(line):
            items[-1] += f" {line}"
        else:
            is_open = False
            continue
        is_open = not items[-1].rstrip(_CLOSING).endswith(_ENDS)
    return items


def _is_title(item: str) -> bool:
    """Whether an item is still to come after what announces it."""
    bare = item.rstrip(_CLOSING)
    return not bare or bare.endswith((":", "："))


def _clean(item: str) -> str:
    text = " ".join(item.split())
    if bold := _BOLD.match(text):
        text = bold["bold"] if bold["bold"].endswith(_ASKS) else bold["rest"]
    text = text.replace("**", "").replace("__", "").strip()
    return _unquoted(_LABEL.sub("", _unquoted(text)))


def _unquoted(text: str) -> str:
    # In a list written as a program would, a comma follows the quote.
    inside = text.removesuffix(",")
    if len(inside) > 1 and (closing := _QUOTES.get(inside[0])) == inside[-1] and closing not in inside[1:-1]:
        return inside[1:-1].strip()
    return text
