"""Runs the commands of a page as its reader types them, with stand-ins for what this machine does not have.

A model or a server that a command names is a server on loopback, a bucket one of the test server; a command that
trains gets a small model of random weights, and one epoch of a few rows.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.command import SYNTH, run_synth, type_synth
from tests.pages.page import ROOT, Page

# These end with another code where they do what the page says.
ENDS_WITH = {"synth diff": 1, "synth why samples/ -n 50": 4}
# What these write may be empty, because the recorded server has no better texts and no better opinion of them, and
# because a script that stands for another trainer only copies.
MAY_BE_EMPTY = (
    "synth judge answers/",
    "synth self-lengthen train for-generator/ by-another-trainer/",
    "synth self-lengthen train chats/ out/",
)
RUNS_PROGRAMS = ("synth case2code execute", "synth case2code evaluate", "synth dstc", "synth run-code")
# Seconds for a command other than `synth`; one that takes longer belongs among those that are not run.
PATIENCE = 120
# Its libraries read their variables once in a process.
APART = ("synth push",)


@dataclass
class Shell:
    """A folder like the one that the page names, below `root`; `stand_ins` replace patterns in commands."""

    page: Page
    root: Path
    stand_ins: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "examples", self.root / "examples", ignore=shutil.ignore_patterns("out"))
        self.folder = self.root / self.page.folder
        for name, content in self.page.files.items():
            self.give(name, content)

    def give(self, name: str, content: str | bytes) -> None:
        file, written = self.folder / name, content.encode() if isinstance(content, str) else content
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(written)
        if written.startswith(b"#!"):
            file.chmod(0o755)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run it; it has to succeed, and what it writes must not be empty."""
        before = self._outputs()
        ended = self._end(self.used(line))
        expected = next((code for start, code in ENDS_WITH.items() if line.startswith(start)), 0)
        assert ended.returncode == expected, f"{self.page}: {line}\n{ended.stderr}"
        made = () if line.startswith(MAY_BE_EMPTY) else self._outputs().items() - before.items()
        for record, content in made:
            assert json.loads(content)["counts"]["outputs"] > 0, f"{self.page}: {line}: {record.parent.name}"
        return ended

    def _outputs(self) -> dict[Path, str]:
        return {record: record.read_text() for record in self.root.rglob("synth.json")}

    def used(self, line: str) -> str:
        """The command with stand-ins."""
        for pattern, used in self.stand_ins.items():
            line = re.sub(pattern, used, line)
        return line

    def _end(self, line: str) -> subprocess.CompletedProcess[str]:
        if line.startswith("export "):
            self.environment.update(word.split("=", 1) for word in shlex.split(line)[1:])
            return subprocess.CompletedProcess(line, 0, "", "")
        if line.startswith("make"):
            line = line.replace("make", "make --dry-run", 1)
            return subprocess.run(line, shell=True, cwd=ROOT / self.page.folder, capture_output=True, text=True)
        if line.startswith("synth "):
            run = run_synth if line.startswith(APART) else type_synth
            return run(*shlex.split(line)[1:], folder=self.folder, **self.environment)
        path = f"{Path(SYNTH).parent}:{os.environ['PATH']}"
        environment = {**os.environ, **self.environment, "PATH": path}
        bash = ["bash", "-c", line]
        return subprocess.run(bash, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
