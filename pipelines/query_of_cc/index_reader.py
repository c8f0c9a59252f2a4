"""A finished index directory, opened to be searched or extended."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import xxhash

from synth.pipelines.retrieval import analysis, segments
from synth.pipelines.runtime.declared import path
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale
from synth.schemas.records import DOCUMENT

__all__ = ["BM25", "DENSE", "INDEX_STAGE", "OpenedIndex"]

INDEX_STAGE = "query-of-cc index"
# The subfolders of an index directory with the BM25 index and with the vectors.
BM25, DENSE = "bm25", "dense"


@dataclass(frozen=True)
class OpenedIndex:
    """A directory from `query-of-cc index`. Its rows are the documents, in the order that hits refer to."""

    path: Path

    def __post_init__(self) -> None:
        """Raises `InputError` if there is no complete index, `Stale` if its terms or files are of another version."""
        stage = (Dataset.open(self.path).run or {}).get("identity", {}).get("stage")
        if stage != INDEX_STAGE:
            made = f"it was made by {stage}" if stage else "it was not made by synth"
            raise InputError(f"{self.path} is not an index, {made}: make one with synth {INDEX_STAGE}")
        current = {"analysis": analysis.VERSION} | ({"postings": segments.VERSION} if self.settings["bm25"] else {})
        for name, version in current.items():
            if (recorded := self.settings.get(name)) != version:
                raise Stale(
                    f"{self.path} was made with other settings ({name} was {recorded} and is now {version}): "
                    "index the corpus again"
                )

    @classmethod
    def read(cls, name: str) -> Self:
        """The index at the path that an option names."""
        return cls(path(name))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The options that the index was made with."""
        options: dict[str, Any] = self._run["identity"]["options"]
        return options

    @cached_property
    def fingerprint(self) -> str:
        """Hash (hex) of what a search depends on: the settings and the documents, but not the search engine's files."""
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
