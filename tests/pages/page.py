"""The pages of the documentation: the files that they show, and their commands in order.

An unlabelled block holds commands. A block below a line such as "`task.md`:" is the file of that name. Commands run in
the root of the repository, unless the page says that they run in a folder of it. The reference of the commands has
indented lines instead: how a command is called, and examples.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:^[^\n]*`([\w./-]+\.\w+)`:\n\n)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"commands\s+of\s+this\s+page\s+run\s+in\s+\[`([\w-]+)/`\]")


@dataclass(frozen=True)
class Page:
    """A page by its path from the root of the repository."""

    name: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.name).read_text()

    @property
    def folder(self) -> str:
        """Where its commands run, from the root of the repository."""
        said = PLACE.search(self.text)
        return said[1] if said else "."

    @cached_property
    def files(self) -> dict[str, str]:
        """The files that it shows, by name."""
        return {name: content for name, _, content in BLOCK.findall(self.text) if name}

    @cached_property
    def commands(self) -> list[str]:
        """Each on one line, without comments."""
        blocks = [content for name, label, content in BLOCK.findall(self.text) if not name and not label]
        lines = "".join(blocks).replace("\\\n", " ").splitlines()
        return [" ".join(re.sub(r"\s+# .*", "", line).split()) for line in lines if line.strip()]

    @cached_property
    def examples(self) -> dict[str, list[str]]:
        """The examples of a reference, by the command to whose section they belong."""
        found = {}
        for section in re.split(r"^##+ ", self.text, flags=re.MULTILINE):
            # The first line shows how the command is called.
            examples = re.findall(r"^    (synth .*)", section, re.MULTILINE)[1:]
            if examples:
                found[section.partition("\n")[0]] = examples
        return found

    @property
    def prose(self) -> str:
        """The page without its blocks."""
        return re.sub(r"^```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @property
    def anchors(self) -> set[str]:
        """Those of its headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def __str__(self) -> str:
        return self.name


PAGES = [Page("README.md"), *(Page(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.md")))]
