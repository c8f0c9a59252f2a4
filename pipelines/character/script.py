"""Parse the script of a scene in a reply (Character-LLM, arXiv 2310.10158)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from synth.pipelines.runtime.text.json_values import json_in
from synth.pipelines.runtime.text.quotes import unquoted

__all__ = ["ACTIONS", "Action", "Script", "Turn", "action_in", "read_script"]

Action = Literal["speaking", "thinking"]
ACTIONS: tuple[Action, ...] = ("speaking", "thinking")

# `Ada (speaking)`, `Ada (speaking): Hi.`
_WITH_ACTION = re.compile(r"([^()（）:：]{1,60}?)\s*[(（]([^()（）]*)[)）]\s*([:：]?)\s*(.*)")
# `Ada:`, `Ada: Hi.`
_WITH_COLON = re.compile(r"([^()（）:：]{1,60}?)\s*[:：]\s*(.*)")
_BACKGROUND = re.compile(r"background\s*(?:[:：]\s*(.*))?", re.IGNORECASE)
_ACTION = re.compile(r"\b(speak|think)", re.IGNORECASE)
_ASIDE = re.compile(r"\s*[(（][^()（）]*[)）]")
_BLANK = re.compile(r"\n\s*\n")
# Of headings, quotations and lists.
_MARK = re.compile(r"^[\s#>*•-]+")
_IN_NO_NAME = re.compile(r"[!?;,\"“”]")
MOST_WORDS_OF_A_NAME = 6
# Words of names that begin with a small letter.
_PARTICLES = frozenset({"af", "al", "bin", "da", "de", "der", "di", "du", "ibn", "la", "le", "of", "the", "van", "von"})
# What stands before a colon, perhaps with a number, and is no name.
_LABELS = {"background", "location", "note", "scene", "setting", "status", "title", "type"}

# The key of a role and its first spelling.
Roles = dict[str, str]


class Turn(TypedDict):
    """What somebody says or thinks. `action` is None where the script has none; `content` is not blank."""

    role: str
    action: Action | None
    content: str


@dataclass(frozen=True)
class Script:
    """`setting` is empty if the script has no background. `directions` and `empty` count what was dropped."""

    setting: str
    turns: tuple[Turn, ...]
    directions: int = 0
    empty: int = 0


@dataclass(frozen=True)
class _Part:
    """A turn, or the background if it has no `role`, and its lines."""

    role: str | None
    action: Action | None
    lines: list[str]

    @classmethod
    def begun(cls, role: str | None, action: Action | None, rest: str) -> "_Part":
        return cls(role, action, [rest] if rest else [])


def read_script(reply: str) -> Script:
    """The background and the turns of a reply.

    A turn begins with a line `Ada (speaking)`, `Ada (speaking): Hi.`, `Ada:` or `Ada: Hi.` and ends before the next
    one or a blank line; if it has no text yet, it goes on in the next paragraph. A name is a role if it stands before
    `speaking` or `thinking` in brackets, or is the first line of a paragraph with a colon after it; the same name
    begins turns in the other forms, too. Everything else is a stage direction, which is dropped and counted, as is a
    second background. Other actions in brackets count as none.

    Remarks in brackets are removed from what is said, and quotes around it; a turn of which nothing is left is dropped
    and counted. Bold type is removed. A reply in JSON is an object with `background` and `turns`.

    The published parser reads paragraphs of one to three lines and drops longer ones; it takes the first of two lines
    of speech for an action, cuts a speech at its second colon, takes a stage direction with a bracket for a turn, and
    counts empty turns.
    """
    found = json_in(reply)
    if isinstance(found, dict) and isinstance(members := found.get("turns"), list):
        background = found.get("background")
        return _script([background] if isinstance(background, str) else [], _members(members), 0)
    text = reply.replace("**", "").replace("__", "").strip()
    paragraphs = [paragraph.splitlines() for paragraph in _BLANK.split(text)]
    roles = _roles(paragraphs)
    parts: list[_Part] = []
    directions = 0
    # Of the part that is not at its end.
    lines: list[str] | None = None
    for paragraph in paragraphs:
        if lines:
            lines = None
        for number, line in enumerate(paragraph):
            if part := _begun(line, roles):
                parts.append(part)
                lines = part.lines
            elif lines is not None:
                lines.append(line)
            elif not number:
                directions += 1
    settings = [part.lines for part in parts if part.role is None]
    turns = ((part.role, part.action, "\n".join(part.lines)) for part in parts if part.role is not None)
    return _script(settings[0] if settings else [], turns, directions + len(settings[1:]))


def action_in(text: str | None) -> Action | None:
    """The action that a text names, if it is one of the two."""
    found = _ACTION.search(text or "")
    return next((action for action in ACTIONS if found and action.startswith(found[1].lower())), None)


def _script(setting: Iterable[str], said: Iterable[tuple[str, Action | None, str]], directions: int) -> Script:
    turns = [Turn(role=role, action=action, content=_said(content)) for role, action, content in said]
    kept = tuple(turn for turn in turns if turn["role"] and turn["content"])
    return Script(" ".join(" ".join(setting).split()), kept, directions, len(turns) - len(kept))


def _members(members: Iterable[Any]) -> Iterator[tuple[str, Action | None, str]]:
    for member in members:
        texts = [member.get(name) for name in ("role", "action", "content")] if isinstance(member, dict) else []
        role, action, content = (text if isinstance(text, str) else "" for text in texts or ("", "", ""))
        yield " ".join(role.split()), action_in(action), content


def _roles(paragraphs: Iterable[Sequence[str]]) -> Roles:
    roles: Roles = {}
    for paragraph in paragraphs:
        for number, line in enumerate(map(_plain, paragraph)):
            if found := _WITH_ACTION.fullmatch(line):
                is_role = action_in(found[2]) is not None and _may_be_name(found[1])
            elif found := _WITH_COLON.fullmatch(line):
                is_role = not number and not found[2] and _may_be_name(found[1]) and _is_capitalized(found[1])
            else:
                continue
            if is_role:
                roles.setdefault(_key(found[1]), found[1])
    return roles


def _begun(line: str, roles: Roles) -> _Part | None:
    """The part that a line begins."""
    text = _plain(line)
    if found := _BACKGROUND.fullmatch(text):
        return _Part.begun(None, None, found[1] or "")
    if found := _WITH_ACTION.fullmatch(text):
        name, said, colon, rest = found.groups()
        action = action_in(said)
        # `Ada (slowly) rises.` is a stage direction.
        begins = bool(action or colon or not rest)
    elif found := _WITH_COLON.fullmatch(text):
        name, rest = found.groups()
        action, begins = None, True
    else:
        return None
    role = roles.get(_key(name))
    return _Part.begun(role, action, rest) if role and begins else None


def _plain(line: str) -> str:
    return _MARK.sub("", line).strip()


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _may_be_name(name: str) -> bool:
    label = re.sub(r"[\W\d_]", "", name.casefold())
    return (
        bool(label)
        and label not in _LABELS
        and not _IN_NO_NAME.search(name)
        and len(name.split()) <= MOST_WORDS_OF_A_NAME
    )


def _is_capitalized(name: str) -> bool:
    return all(not word[0].islower() or word in _PARTICLES for word in name.split())


def _said(content: str) -> str:
    """What is said, without remarks and quotes; empty if it has no word."""
    lines = [" ".join(line.split()) for line in _ASIDE.sub("", content).splitlines()]
    text = unquoted("\n".join(unquoted(line) for line in lines if line))
    return text if re.search(r"\w", text) else ""
