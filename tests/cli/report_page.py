"""A written report, read from its HTML."""

import re
from html.parser import HTMLParser
from pathlib import Path

from tests.command import type_synth as synth

__all__ = ["Page", "report"]


def report(*arguments: object, folder: Path) -> "Page":
    """The page that the command writes to `report.html`."""
    done = synth("report", *arguments, folder=folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith("report.html: ")
    return Page(folder / "report.html")


class Page(HTMLParser):
    """The elements of a page with their attributes, and the texts of its headings, cells, marks and list items."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts[tag][-1] += data

    def of(self, tag: str) -> list[str]:
        return [text.strip() for text in self.texts.get(tag, [])]

    def rows(self) -> list[list[str]]:
        """The rows of all tables."""
        return [re.split(r"\s*\n\s*|(?<=\S)\s{2,}", text) for text in self.of("tr")]

    def titles(self) -> str:
        return "\n".join(self.of("h3"))

    def marks(self) -> list[str]:
        """What is told when a mark is pointed at. The first `title` is that of the page."""
        return self.of("title")[1:]
