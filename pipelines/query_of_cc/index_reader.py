"""An index directory as those see it who search or extend it: complete, and made by the rules that they go by."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from synth.pipelines.retrieval import analysis
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale
from synth.schemas.records import DOCUMENT

__all__ = ["BM25", "DENSE", "INDEX_STAGE", "OpenedIndex"]

INDEX_STAGE = "query-of-cc index"
# The folders in an index directory that hold the BM25 index, and the vectors.
BM25, DENSE = "bm25", "dense"


@dataclass(frozen=True)
class OpenedIndex:
    """A directory that `query-of-cc index` made. Its rows are the documents; their order is that of the engines."""

    path: Path

    def __post_init__(self) -> None:
        """Raises `InputError` where there is no complete index, `Stale` where it was made by other rules."""
        stage = (Dataset.open(self.path).run or {}).get("identity", {}).get("stage")
        if stage != INDEX_STAGE:
            made = f"was made by {stage}" if stage else "was not made by synth"
            raise InputError(f"{self.path} is no index, it {made}: make one with synth {INDEX_STAGE}")
        if self.settings["analysis"] != analysis.VERSION:
            raise Stale(
                f"{self.path} was made with other settings (analysis was {self.settings['analysis']} and is now "
                f"{analysis.VERSION}): index the corpus again"
            )

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The options by which the index was made."""
        options: dict[str, Any] = self._run["identity"]["options"]
        return options

    @cached_property
    def fingerprint(self) -> str:
        """Hash (hex) of the settings and the documents: of what a search depends on, not of the files of the engine."""
        settings = {name: value for name, value in self.settings.items() if name != "extend"}
        documents = [shard["xxh3"] for shard in self._run["shards"]]
        return xxhash.xxh3_128(json.dumps([settings, documents], sort_keys=True).encode()).hexdigest()

    @property
    def documents(self) -> pa.Table:
        """All documents, memory-mapped."""
        return Dataset(self.path).table.select(DOCUMENT.names)

    @property
    def bm25(self) -> Path:
        return self.path / BM25

    @property
    def dense(self) -> Path:
        return self.path / DENSE

    @cached_property
    def _run(self) -> dict[str, Any]:
        return Dataset(self.path).run or {}
