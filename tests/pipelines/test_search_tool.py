"""A row may search an index: what it finds is recorded, and replayed only for the same documents."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.pipelines.retrieval.analysis import Analysis
from synth.pipelines.retrieval.bm25 import Bm25
from synth.pipelines.retrieval.lookup import DocumentIndex
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Row, RowStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import Partial
from synth.schemas.record import Column, Record
from synth.schemas.records import QUERY
from tests.pipelines.query_of_cc.searching import index
from tests.rows import write_rows

QUERIES = [{"id": "tides", "query": "why do tides rise?"}, {"id": "none", "query": "unheard"}]


@dataclass(frozen=True)
class Ground(RowStage):
    """The ids of the documents that a query finds, and the text of the best."""

    name: ClassVar[str] = "ground"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = Record(
        "grounded",
        "",
        (Column("id", pa.string(), ""), Column("found", pa.list_(pa.string()), ""), Column("best", pa.string(), "")),
    )

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        documents = (await tools.search(row["query"], 2)).documents
        best = documents[0].text if documents else None
        yield {"id": row["id"], "found": [document.id for document in documents], "best": best}


class Watched(DocumentIndex):
    """It counts how often it is started and asked."""

    def __init__(self, path: Path) -> None:
        there = OpenedIndex(path)
        analysis = Analysis(stem=there.settings["stem"])
        super().__init__({"documents": there.fingerprint}, there.documents, lambda: Bm25(there.bm25, analysis))
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")
        await super().start()

    async def answer(self, request: Any) -> Any:
        self.calls.append(request.query)
        return await super().answer(request)


@pytest.fixture
def queries(tmp_path: Path) -> str:
    return str(write_rows(tmp_path / "asked.jsonl", QUERIES))


def test_a_row_gets_the_best_documents_for_its_query(tmp_path: Path, queries: str) -> None:
    summary = Run(Ground(), [queries], tmp_path / "out", Options(), index=Watched(index(tmp_path))).execute()
    assert list(Dataset.open(tmp_path / "out").rows()) == [
        {"id": "tides", "found": ["tides", "moon"], "best": "Tides rise twice a day."},
        {"id": "none", "found": [], "best": None},
    ]
    assert summary.counts.tallies == {"searches": 2}


def test_what_was_found_is_replayed_from_the_same_documents_alone(tmp_path: Path, queries: str) -> None:
    out = tmp_path / "out"
    first, again, other = (
        Watched(index(tmp_path, "first")),
        Watched(tmp_path / "first"),
        Watched(index(tmp_path, "other", [{"id": "low", "text": "The tides of Fundy rise by 16 metres."}])),
    )
    Run(Ground(), [queries], out, Options(keep_answers=True), index=first).execute()
    assert first.calls[0] == "start"
    assert sorted(first.calls[1:]) == sorted(row["query"] for row in QUERIES)
    Run(Ground(), [queries], out, Options(update=True), index=again).execute()
    assert again.calls == []
    Run(Ground(), [queries], out, Options(update=True), index=other).execute()
    assert len(other.calls) == 3
    assert next(iter(Dataset.open(out).rows()))["found"] == ["low"]
    assert "documents" in json.dumps(Dataset.open(out).run["identity"]["index"])


def test_a_stage_that_searches_needs_an_index(tmp_path: Path, queries: str) -> None:
    with pytest.raises(Partial, match="this stage was run without an index"):
        Run(Ground(), [queries], tmp_path / "out", Options()).execute()
