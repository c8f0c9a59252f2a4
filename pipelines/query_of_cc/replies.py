"""Parse questions and thoughts from replies of a model, and measure and shorten them."""

import re

from synth.pipelines.runtime.text.json_values import json_in
from synth.pipelines.runtime.text.quotes import unquoted
from synth.pipelines.runtime.text.unicode_ranges import HANGUL, SPACELESS
from synth.pipelines.runtime.text.words import signed_words, without_punctuation

__all__ = ["cut", "plain", "read_questions", "read_thought", "words"]

_UNSPACED = re.compile(f"[{SPACELESS}{HANGUL}]")
# Characters that carry about as much as one English word.
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
_SENTENCE_END = re.compile(r"[.?!…][\"'”’)]*(?=\s)|[。？！][」』）]*")


def read_questions(reply: str) -> list[str]:
    """The items of the list in a reply, in order; empty if it has no list.

    Items are the numbered lines, or, if no numbered line is a question, the bulleted lines, or else the lines that
    end in a question mark. An item continues over lines until an end mark or the next item. Numbers, quotes, bold
    type and bold titles are removed. Other text, such as a preamble, is ignored. A reply in JSON is a list of texts, or
    an object with such a list as `questions`; at least one of them has to be a question.
    """
    found = json_in(reply)
    if isinstance(listed := found.get("questions") if isinstance(found, dict) else found, list):
        texts = [_clean(_NUMBER.sub("", _CONTROL.sub("", item))) for item in listed if isinstance(item, str)]
        # An engine enforces a list of texts, whatever they say.
        return [*filter(None, texts)] if any(text.endswith(_ASKS) for text in texts) else []
    lines = _CONTROL.sub("", reply).splitlines()
    lists = [[_clean(item) for item in _items(lines, mark)] for mark in (_NUMBER, _BULLET)]
    asking = [items for items in lists if any(item.endswith(_ASKS) for item in items)]
    bare = [line for line in map(_clean, lines) if line.endswith(_ASKS)]
    return next(filter(None, [*asking, *lists, bare]), [])


def read_thought(reply: str) -> str:
    """A thought on one line, without an introductory paragraph that ends in a colon, and without enclosing quotes."""
    paragraphs = re.split(r"\n\s*\n", _CONTROL.sub("", reply).strip())
    if len(paragraphs) > 1 and paragraphs[0].rstrip(_CLOSING).endswith((":", "：")):
        del paragraphs[0]
    return _unquoted(" ".join(" ".join(paragraphs).split()))


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, up to the last end of a sentence, or else of a word, in their second half."""
    if len(text) <= limit:
        return text
    # One character more shows whether something ends at the limit.
    head = text[: limit + 1]
    sentences = [end.end() for end in _SENTENCE_END.finditer(head)]
    for ends in (sentences, [gap.start() for gap in re.finditer(r"\s", head)]):
        if near := [end for end in ends if limit / 2 <= end <= limit]:
            return text[: near[-1]]
    return text[:limit]


def words(text: str) -> float:
    """The number of words in a text. In scripts without spaces, three characters count as two words."""
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + len(_UNSPACED.findall(text)) / CHARACTERS_PER_WORD


def plain(text: str) -> str:
    """A text normalized for comparison: words and symbols, without case, punctuation, width and white space."""
    return " ".join("".join(word.split()) for portion in signed_words(without_punctuation(text)) for word in portion)


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
    """Whether an item so far is only a title, which its text follows."""
    bare = item.rstrip(_CLOSING)
    return not bare or bare.endswith((":", "："))


def _clean(item: str) -> str:
    text = " ".join(item.split())
    if bold := _BOLD.match(text):
        text = bold["bold"] if bold["bold"].endswith(_ASKS) else bold["rest"]
    text = text.replace("**", "").replace("__", "").strip()
    return _unquoted(_LABEL.sub("", _unquoted(text)))


def _unquoted(item: str) -> str:
    # In a list in program syntax, a comma follows the quote.
    inside = item.removesuffix(",")
    text = unquoted(inside)
    return item if text == inside else text
