"""The profile of a person: a name, and paragraphs between blank lines (arXiv 2310.10158)."""

import re
from dataclasses import dataclass

from synth.pipelines.runtime.stage import Reject, Row

__all__ = ["Profile", "is_person", "read_profile"]

_BLANK = re.compile(r"\n\s*\n")
_TITLE = re.compile(r"#\s+(.*)")


@dataclass(frozen=True)
class Profile:
    name: str
    paragraphs: tuple[str, ...]


def read_profile(row: Row) -> Profile:
    """The name in the column, or else in the first line, `# Name`; and the paragraphs, with the headings in them.

    Raises `Reject`: `no_name`, `no_paragraph`.
    """
    first, _, rest = row["profile"].strip().partition("\n")
    title = _TITLE.fullmatch(first.strip())
    text = rest if title else row["profile"]
    name = (row["name"] or "").strip() or (title[1].strip() if title else "")
    if not name:
        raise Reject("no_name", "the profile does not begin with a line `# Name`, and there is no name in `name`")
    paragraphs = tuple(filter(None, map(str.strip, _BLANK.split(text))))
    if not paragraphs:
        raise Reject("no_paragraph", f"the profile of {name} has no text")
    return Profile(name, paragraphs)


def is_person(role: str, name: str) -> bool:
    """Whether a role is the person of this name: scripts shorten names, and add titles to those of several words."""
    acting, known = ({*re.findall(r"\w+", text.casefold())} for text in (role, name))
    return bool(acting) and (acting <= known or (len(known) > 1 and known <= acting))
