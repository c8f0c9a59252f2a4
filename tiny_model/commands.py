"""Runs commands of `synth`, so that a measurement sees what their users see."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["run", "written"]


def run(command: str, *paths: Path, options: Sequence[str] = ()) -> dict[str, Any]:
    """What a command counted on the way to its output, the last of `paths`.

    Raises `subprocess.CalledProcessError`.
    """
    synth = Path(sys.executable).with_name("synth")
    subprocess.run([synth, *command.split(), *paths, *options], check=True)
    counts: dict[str, Any] = json.loads((paths[-1] / "synth.json").read_text())["counts"]
    return counts


def written(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A file with the rows as lines of JSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
