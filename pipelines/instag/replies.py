"""Reading tags out of what a model replied. The text is parsed, never evaluated.

Models write JSON nearly: in a fence, amid prose, with the quotes of a typesetter or of Python, one object after
another, cut at the token limit. So this is a reader of its own, which takes all that and reads JSON as JSON.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["TagReading", "read_tags"]

# Bounds on the time that a reply full of brackets and quotes can take: how deep values are nested, and how many quotes
# and stretches between them a text has.
DEEPEST = 8
LONGEST = 1000

_STRAIGHT, _SINGLE, _SMART, _SMART_SINGLE = '"', "'", '"“”„‟«»', "'‘’‚‛"
# Which marks may end a text that opens with this one.
_CLOSING = {opening: marks for marks in (_SMART_SINGLE, _SMART, _SINGLE, _STRAIGHT) for opening in marks}
_GOES_ON = r"\s*(?:[]},:，：、]|$)"
# The rest of a quoted text. A mark ends it only where its list or object goes on: texts quote, words have apostrophes.
# It is not possessive as a whole, which Python 3.11 up to 3.11.4 gets wrong.
_REST = {
    marks: re.compile(
        rf"((?:[^\\{marks}]++|\\.|[{marks}](?!{_GOES_ON})){{0,{LONGEST}}})[{marks}](?={_GOES_ON})", re.DOTALL
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
    """What a reply holds: `tags` with their explanations (None where there is none), each tag once, in order.

    `is_json` says whether there was a list or an object at all; `too_long` and `without_text` count tags left out.
    """

    tags: tuple[tuple[str, str | None], ...]
    is_json: bool
    too_long: int = 0
    without_text: int = 0


def read_tags(reply: str, max_chars: int) -> TagReading:
    """The tags of a reply, of at most `max_chars` characters each.

    They are the objects with a key `tag` anywhere in its lists and objects, or, if there are none, the texts of its
    lists. Of what is cut or broken the whole objects and texts are taken. Two tags are one if they differ in case and
    blanks alone; the first stands.
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
    """A text on one line, without the halves of characters that no file can hold; nothing for what is no text."""
    if not isinstance(value, str):
        return ""
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(_CONTROL.sub(" ", whole).split())


def _values(text: str) -> Iterator[Any]:
    """Every list and object in `text`; of one that cannot be read, those inside it that can."""
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
    """What stands here is no value."""


class _Cut(_Broken):
    """The text ends before the value does."""


class _TagReader:
    """Reads the value at `at`, and leaves `at` behind it. Numbers and the like are all read as None."""

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
            self._taken(_SPACE)
            return read(depth + 1)
        self._taken(_ATOM)
        return None

    def _list(self, depth: int) -> list[Any]:
        """The items up to the closing bracket, or up to the one in which the text ends."""
        items: list[Any] = []
        while self._here not in ("]", ""):
            start = self.at
            try:
                items.append(self.value(depth))
            except _Cut:
                self.at = start
                return items
            self._taken(_COMMA)
        self.at += 1
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while self._here != "}":
            key = self._quoted() if self._here in _CLOSING else self._taken(_BARE_KEY)
            self._taken(_COLON)
            members[key.strip().casefold()] = self.value(depth)
            self._taken(_COMMA)
        self.at += 1
        return members

    def _quoted(self) -> str:
        rest = _REST[_CLOSING[self._here]].match(self._text, self.at + 1)
        if rest is None:
            raise _Cut
        self.at = rest.end()
        return _ESCAPE.sub(_unescaped, rest[1])

    def _taken(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self.at)
        if found is None:
            raise _Broken if self._here else _Cut
        self.at = found.end()
        return found[0]


def _unescaped(escape: re.Match[str]) -> str:
    letter = escape[1]
    return chr(int(letter[1:], 16)) if len(letter) > 1 else _ESCAPED.get(letter, letter)
