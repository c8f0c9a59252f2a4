"""Corpora, queries and runs of the two stages that search, small enough to look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.pipelines.query_of_cc.index import Index
from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.pipelines.query_of_cc.retrieve import Retrieve
from synth.pipelines.runtime import runner
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Summary
from synth.schemas.dataset import Dataset
from tests.rows import write_rows

CORPUS = [
    {"id": "moon", "text": "The moon moves the tides of the sea.", "url": "http://a.example/moon"},
    {"id": "tides", "text": "Tides rise twice a day.", "url": "http://a.example/tides"},
    {"id": "blank", "text": " \n\t—"},
    {"id": "cells", "text": "A cell divides; the cells of a leaf divide, too."},
    {"id": "tokyo", "text": "東京都に住む猫"},
]
QUERIES = [
    {"id": "q-tides", "text": "why do tides rise?", "domain": "physics"},
    {"id": "q-moon", "text": "moon AND (tides", "domain": "astronomy"},
    {"id": "q-cells", "text": "cells of a leaf", "domain": "biology"},
    {"id": "q-cats", "text": "京都", "domain": None},
    {"id": "q-signs", "text": "?!", "domain": "physics"},
    {"id": "q-none", "text": "unheard", "domain": "physics"},
]


def index(
    folder: Path,
    name: str = "index",
    rows: Sequence[Mapping[str, Any]] = CORPUS,
    *,
    extend: Path | None = None,
    limit: int | None = None,
    **settings: Any,
) -> Path:
    corpus = write_rows(folder / f"{name}.jsonl", rows)
    stage = Index(extend=OpenedIndex(extend) if extend else None, **settings)
    runner.Run(stage, [str(corpus)], folder / name, Options(limit=limit)).execute()
    return folder / name


def retrieve(
    folder: Path, index: Path, name: str = "docs", rows: Sequence[Mapping[str, Any]] = QUERIES, **settings: Any
) -> Summary:
    queries = write_rows(folder / "queries.jsonl", rows)
    return runner.Run(
        Retrieve(index=OpenedIndex(index), **settings), [str(queries)], folder / name, Options()
    ).execute()


def shard_bytes(path: Path) -> list[bytes]:
    return [shard.read_bytes() for shard in Dataset.open(path).shards]
