"""Running a stage over rows, and what came of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Stage
from tests.rows import Rows, rejected_of, rows_of, write_rows


def passed(stage: Stage, inputs: Sequence[Path | str], out: Path, **options: Any) -> tuple[Rows, Rows]:
    """The rows that came through, and those that were rejected."""
    Run(stage, list(map(str, inputs)), out, Options(**options)).execute()
    return rows_of(out), rejected_of(out)


def texts_passed(stage: Stage, folder: Path, *texts: str | None) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Ids of those of the texts `r-0`, `r-1`, ... that came through; reason and detail of the others."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"r-{i}", "text": text} for i, text in enumerate(texts)]
    kept, rejected = passed(stage, [write_rows(folder / "rows.jsonl", rows)], folder / "out", fresh=True)
    return [row["id"] for row in kept], {row["id"]: (row["reason"], row["detail"]) for row in rejected}


def shards(folder: Path) -> list[str]:
    """Checksums of the shards of an output, those of what was rejected after the others."""
    record = json.loads((folder / "synth.json").read_text())
    return [shard["xxh3"] for kind in ("shards", "rejected_shards") for shard in record[kind]]
