"""Prompts are Jinja2 text files with a line `# system`, `# user` or `# assistant` above each chat message.

A file without such a line is a raw completion prompt. If the last message is the assistant's, the model continues it.
"""

import hashlib
import logging
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.pipelines.engines import Message
from synth.schemas.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

__all__ = ["Prompt"]

_HEADING = re.compile(r"^# (system|user|assistant)[ \t]*\n", re.MULTILINE)
# Headings become a mark that is removed from variables, so a question with a line `# system` stays in its message.
_MARK = "\x00"


@dataclass(frozen=True)
class Prompt:
    """The text of a prompt file, and the name that it was loaded by; compiled when it is first rendered."""

    text: str
    origin: str

    def __reduce__(self) -> tuple[type["Prompt"], tuple[str, str]]:
        """Leaves out the template, which cannot be pickled."""
        return Prompt, (self.text, self.origin)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the text (hex), which identifies it in `synth.json`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def is_chat(self) -> bool:
        return _HEADING.search(self.text) is not None

    @cached_property
    def template(self) -> "Template":
        """Raises `UsageError` if the text is not a valid template."""
        from jinja2 import TemplateError

        try:
            return _environment().from_string(_HEADING.sub(rf"{_MARK}\1{_MARK}", self.text))
        except TemplateError as error:
            raise UsageError(f"{self.origin} is not a prompt template: {error}") from error

    @cached_property
    def variables(self) -> frozenset[str]:
        """The variables that the template reads."""
        from jinja2 import meta

        return frozenset(meta.find_undeclared_variables(_environment().parse(self.text)))

    @classmethod
    def load(cls, name: str, folder: Path | None, flag: str = "--prompt", default: str | None = None) -> "Prompt":
        """Read the prompt `name` of the recipe in `folder`, if there is one, or else the prompt file of that name.

        Warns of a file without any variable of the `default`, the recipe's own prompt in whose place it is used. Raises
        `UsageError`, which mentions `flag`, if the file is missing, not UTF-8, or not a valid template.
        """
        shipped = folder / "prompts" / f"{name}.md" if folder else None
        path = shipped if shipped and shipped.is_file() else Path(name)
        try:
            prompt = cls(path.read_text(encoding="utf-8"), name)
        except FileNotFoundError:
            names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.md"))) if shipped else ""
            others = f", and the recipe's own prompts are {names}" if names else ""
            raise UsageError(f"{flag} {name}: no such file{others}") from None
        except (UnicodeDecodeError, OSError) as error:
            raise UsageError(f"{flag} {name} cannot be read: {error}") from error
        if path is not shipped:
            _ = prompt.template  # so that errors in a user's file are reported before anything runs
            known = sorted(cls.load(default, folder).variables) if default else []
            if known and not prompt.variables.intersection(known):
                names = ", ".join(known)
                logging.getLogger("synth").warning(
                    "%s %s has no variable (%s): all rows get the same", flag, name, names
                )
        return prompt

    def render(self, **variables: Any) -> str | tuple[Message, ...]:
        """The raw text, or the chat messages, stripped. Raises `UsageError` for an unknown variable."""
        from jinja2 import TemplateError

        try:
            rendered = self.template.render(variables)
        except TemplateError as error:
            raise UsageError(f"{self.origin} cannot be rendered: {error}") from error
        if not self.is_chat:
            return rendered.rstrip("\n")
        _, *parts = rendered.split(_MARK)
        return tuple(
            Message(role=role, content=content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)
        )


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, StrictUndefined

    return Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value.replace(_MARK, "") if isinstance(value, str) else value,
        autoescape=False,
    )
