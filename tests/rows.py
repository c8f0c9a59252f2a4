"""Rows written for a test to read, and rows of an output read back."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synth.schemas.dataset import Dataset

Rows = list[dict[str, Any]]


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a JSONL file, a row on each line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def rows_of(directory: Path | str) -> Rows:
    return [dict(row) for row in Dataset.open(Path(directory)).rows()]


def rejected_of(directory: Path | str) -> Rows:
    """Rows of `rejected/`, none where there is no such directory."""
    rejected = Dataset.open(Path(directory)).rejected
    return [dict(row) for row in rejected.rows()] if rejected else []
