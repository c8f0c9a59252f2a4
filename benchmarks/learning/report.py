"""The HTML page on all experiments that have ended: charts, tables, and what the experiments print.

    python -m benchmarks.learning.report build/learning

It is written to `report.html` in that directory.
"""

import argparse
import json
from pathlib import Path

from benchmarks.contest import say
from synth.cli.report.page import Chapter, Figure, Table, html

__all__ = ["page"]

EXPERIMENTS = ("rft", "evolution", "domain", "selection", "cases", "lengths")


def page(folder: Path) -> str:
    """The experiments in the order of docs/learning.md, without those that have not ended."""
    files = [folder / name / "chapter.json" for name in EXPERIMENTS]
    return html("Does the data teach?", [_chapter(file) for file in files if file.is_file()])


def _chapter(file: Path) -> Chapter:
    written = json.loads(file.read_text())
    figures = [
        Figure(figure["title"], figure["chart"], facts=Table(figure["head"], figure["rows"]))
        for figure in written["figures"]
    ]
    return Chapter(file.parent.name, written["title"], written["told"], figures=figures)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, help="the work directories of the experiments")
    folder = arguments.parse_args().folder
    (folder / "report.html").write_text(page(folder))
    say(f"{folder / 'report.html'}: written")


if __name__ == "__main__":
    main()
