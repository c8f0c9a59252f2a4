"""Prompts are text files: Jinja2, with a line `# system`, `# user` or `# assistant` above each chat message.

A file without such a line is a raw completion prompt. A chat that ends in an assistant message is continued from there.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from synth.pipelines.engines import Message
from synth.schemas.errors import UsageError

__all__ = ["Prompt"]

_HEADING = re.compile(r"^# (system|user|assistant)[ \t]*\n", re.MULTILINE)
# Headings become a mark that no variable can hold, so a question with a line `# system` stays inside its message.
_MARK = "\x00"


def _without_mark(value: Any) -> Any:
    return value.replace(_MARK, "") if isinstance(value, str) else value


_ENVIRONMENT = Environment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_without_mark, autoescape=False
)


class Prompt:
    """A compiled prompt file.

    `digest` (SHA-256 of the text, hex) identifies it in `synth.json`. Raises `UsageError` for a file that is missing,
    not UTF-8, or not a template.
    """

    def __init__(self, text: str, origin: str) -> None:
        self.text = text
        self.origin = origin
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.is_chat = _HEADING.search(text) is not None
        try:
            self._template = _ENVIRONMENT.from_string(_HEADING.sub(rf"{_MARK}\1{_MARK}", text))
        except TemplateError as error:
            raise UsageError(f"{origin} is not a prompt template: {error}") from error

    @classmethod
    def load(cls, name: str, folder: Path, flag: str = "--prompt") -> "Prompt":
        """Read the prompt file `name`, or the recipe's own of that name; errors speak of `flag`."""
        shipped = folder / "prompts" / f"{name}.md"
        path = shipped if shipped.is_file() else Path(name)
        try:
            return cls(path.read_text(encoding="utf-8"), origin=name)
        except FileNotFoundError:
            names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.md")))
            raise UsageError(f"{flag} {name}: no such file, and the recipe's own prompts are {names}") from None
        except (UnicodeDecodeError, OSError) as error:
            raise UsageError(f"{flag} {name} cannot be read: {error}") from error

    def render(self, **variables: Any) -> str | tuple[Message, ...]:
        """The raw text, or the chat messages with blank space around each trimmed. An unknown variable is an error."""
        try:
            rendered = self._template.render(variables)
        except TemplateError as error:
            raise UsageError(f"{self.origin} cannot be rendered: {error}") from error
        if not self.is_chat:
            return rendered.rstrip("\n")
        _, *parts = rendered.split(_MARK)
        return tuple(
            Message(role=role, content=content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)
        )
