"""Prints the mean length of the texts that each round of `make self-lengthen` accepted: `lengths.py ROUND...`."""

import json
import sys
from pathlib import Path


def mean_words(dataset: Path) -> str:
    record = dataset / "synth.json"
    return f"{json.loads(record.read_text())['means']['words']:.1f}" if record.is_file() else "-"


print(f"{'mean words':14}{'drafts':>10}{'extended':>10}")
for folder in map(Path, sys.argv[1:]):
    print(f"{folder.name:14}{mean_words(folder / 'drafts'):>10}{mean_words(folder / 'extended'):>10}")
