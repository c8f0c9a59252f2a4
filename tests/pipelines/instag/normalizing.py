"""Normalising rows of tags, and what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.pipelines.instag.normalize.embedding import Characters
from synth.pipelines.instag.normalize.normalize import Normalize
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from tests.rows import write_rows

Row = dict[str, Any]


@dataclass(frozen=True)
class Normalized:
    rows: list[Row]
    vocabulary: list[Row]
    tallies: Mapping[str, float]

    @property
    def tag_of(self) -> dict[str, str | None]:
        return {row["form"]: row["tag"] for row in self.vocabulary}

    @property
    def step_of(self) -> dict[str, str | None]:
        return {row["form"]: row["step"] for row in self.vocabulary}


def normalized(
    folder: Path, rows: Sequence[Row], columns: Mapping[str, str] | None = None, **options: Any
) -> Normalized:
    """What the stage makes of `rows`: by spelling, and without a threshold of frequency unless `options` say so."""
    folder.mkdir(parents=True, exist_ok=True)
    source = write_rows(folder / "rows.jsonl", rows)
    stage = Normalize(**{"embedder": Characters(), "alpha": 1, **options})
    summary = Run(stage, [str(source)], folder / "out", Options(fresh=True, columns=columns or {})).execute()
    return opened(folder / "out", summary.counts.tallies)


def opened(out: Path, tallies: Mapping[str, float]) -> Normalized:
    output, vocabulary = Dataset.open(out), Dataset.open(out / "vocabulary")
    assert output.rejected is None
    return Normalized(list(output.rows()), list(vocabulary.rows()), tallies)


def queries(*tags: Sequence[str | None] | None) -> list[Row]:
    """Rows of one query each, with these tags."""
    return [{"id": f"q-{number}", "raw_tags": None if of is None else list(of)} for number, of in enumerate(tags)]


def turns(*queries: Sequence[str]) -> list[Row]:
    """The raw tags of one row with several queries."""
    return [
        {"turn": turn, "tag": tag, "explanation": f"why {tag}"}
        for turn, tags in enumerate(queries, start=1)
        for tag in tags
    ]
