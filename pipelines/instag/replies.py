"""Parse tags from a model's reply; nothing is evaluated.

Models write almost-JSON: fenced, surrounded by prose, with typographic or Python quotes, as a sequence of objects, or
cut at the token limit. This tolerant parser accepts all of that, and valid JSON as it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["TagReading", "read_tags"]

# Bound the time spent on replies full of brackets and quotes: nesting depth, and quotes and runs between them.
DEEPEST = 8
LONGEST = 1000

_STRAIGHT, _SINGLE, _SMART, _SMART_SINGLE = '"', "'", '"“”„‟«»', "'‘’‚‛"
# Which marks may end a text that opens with this one.
_CLOSING = {opening: marks for marks in (_SMART_SINGLE, _SMART, _SINGLE, _STRAIGHT) for opening in marks}
_CONTINUES = r"\s*(?:[]},:，：、]|$)"
# The rest of a quoted text. A mark ends it only if its list or object continues: texts quote, words have apostrophes.
# Not possessive as a whole: Python 3.11 before 3.11.5 gets that wrong.
_REST = {
    marks: re.compile(
        rf"((?:[^\\{marks}]++|\\.|[{marks}](?!{_CONTINUES})){{0,{LONGEST}}})[{marks}](?={_CONTINUES})", re.DOTALL
    )
    for marks in (_STRAIGHT, _SINGLE, _SMART, _SMART_SINGLE)
}
_OPENING = re.compile(r"[\[{]")
_SPACE = re.compile(r"\s*")
_COMMA = re.compile(r"\s*[,，、]?\s*")
_COLON = re.compile(r"\s*[:：]\s*")
_BARE_KEY = re.compile(r"\w+")
_ATOM = re.compile(r"(?:-?[\d.]+(?:[eE][+-]?\d+)?|true|false|null|NaN|True|False|None)(?![\w.])")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class TagReading:
    """The distinct `tags` of a reply with their explanations (or None), in order.

    `is_json` says whether the reply has any list or object; `too_long` and `without_text` count dropped tags.
    """

    tags: tuple[tuple[str, str | None], ...]
    is_json: bool
    too_long: int = 0
    without_text: int = 0


def read_tags(reply: str, max_chars: int) -> TagReading:
    """The tags of a reply, of at most `max_chars` characters each.

    Tags are the objects with a key `tag` at any depth, or, if there are none, the texts in lists. Complete objects and
    texts are taken from truncated or broken values. Tags that differ only in case and spaces are one; the first wins.
    """
    values = list(_values(reply))
    found = list(_objects(values)) or [(text, None) for text in _texts(values)]
    tags: dict[str, tuple[str, str | None]] = {}
    too_long = without_text = 0
    for given, explanation in found:
        tag = _one_line(given)
        if not tag:
            without_text += 1
        elif len(tag) > max_chars:
            too_long += 1
        else:
            tags.setdefault(tag.casefold(), (tag, _one_line(explanation) or None))
    return TagReading(tuple(tags.values()), bool(values), too_long, without_text)


def _objects(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every tag with its explanation among the objects of `value`, in order."""
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)
    elif isinstance(value, Mapping):
        if "tag" in value and not isinstance(value["tag"], list | Mapping):
            yield value["tag"], value.get("explanation")
        else:
            for member in value.values():
                yield from _objects(member)


def _texts(value: Any) -> Iterator[Any]:
    """Every value but an object in the lists of `value`, in order."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, list | Mapping):
                yield from _texts(item)
            else:
                yield item
    elif isinstance(value, Mapping):
        for member in value.values():
            if isinstance(member, list | Mapping):
                yield from _texts(member)


def _one_line(value: Any) -> str:
    """A text on one line, lone surrogates replaced; empty for other values."""
    if not isinstance(value, str):
        return ""
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(_CONTROL.sub(" ", whole).split())


def _values(text: str) -> Iterator[Any]:
    """Every list and object in `text`; if one cannot be parsed, the parsable values inside it."""
    at = 0
    while opening := _OPENING.search(text, at):
        reader = _TagReader(text, opening.start())
        try:
            value = reader.value()
        except _Broken:
            at = opening.end()
        else:
            yield value
            at = reader.at


class _Broken(Exception):
    """There is no value here."""


class _Cut(_Broken):
    """The text ends before the value does."""


class _TagReader:
    """Parses the value at `at` and advances `at` past it. Numbers and literals are read as None."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at

    @property
    def _here(self) -> str:
        return self._text[self.at : self.at + 1]

    def value(self, depth: int = 0) -> Any:
        if self._here in _CLOSING:
            return self._quoted()
        if self._here in ("[", "{") and depth < DEEPEST:
            read = self._list if self._here == "[" else self._object
            self.at += 1
            self._take(_SPACE)
            return read(depth + 1)
        self._take(_ATOM)
        return None

    def _list(self, depth: int) -> list[Any]:
        """The items up to the closing bracket; a last item that the text cuts is dropped."""
        items: list[Any] = []
        while self._here not in ("]", ""):
            start = self.at
            try:
                items.append(self.value(depth))
            except _Cut:
                self.at = start
                return items
            self._take(_COMMA)
        self.at += 1
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while self._here != "}":
            key = self._quoted() if self._here in _CLOSING else self._take(_BARE_KEY)
            self._take(_COLON)
            members[key.strip().casefold()] = self.value(depth)
            self._take(_COMMA)
        self.at += 1
        return members

    def _quoted(self) -> str:
        rest = _REST[_CLOSING[self._here]].match(self._text, self.at + 1)
        if rest is None:
            raise _Cut
        self.at = rest.end()
        return _ESCAPE.sub(_unescaped, rest[1])

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self.at)
        if found is None:
            raise _Broken if self._here else _Cut
        self.at = found.end()
        return found[0]


def _unescaped(escape: re.Match[str]) -> str:
    letter = escape[1]
    return chr(int(letter[1:], 16)) if len(letter) > 1 else _ESCAPED.get(letter, letter)
