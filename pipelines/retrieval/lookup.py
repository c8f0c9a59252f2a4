"""The search tool of row stages: one query in, the documents that match it out."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.pipelines.retrieval.searcher import Searcher

__all__ = ["DocumentIndex", "Found", "FoundDocument", "Query"]


class Query(Struct, frozen=True):
    """A query for up to `k` documents."""

    query: str
    k: int


class FoundDocument(Struct, frozen=True):
    id: str
    text: str
    score: float


class Found(Struct, frozen=True):
    """The hits of a query, best first."""

    documents: tuple[FoundDocument, ...]


class DocumentIndex:
    """Searches `documents`, a table with the columns id and text, with the searcher that `opened` returns.

    The searcher's positions are rows of the table. `identity` names what a search depends on: the documents and how
    they were indexed.
    """

    starting = "opening the index"

    def __init__(self, identity: Mapping[str, Any], documents: "pa.Table", opened: "Callable[[], Searcher]") -> None:
        self._identity = dict(identity)
        self._documents = documents
        self._opened = opened
        self._searcher: Searcher | None = None

    def identity(self) -> dict[str, Any]:
        return self._identity

    async def start(self) -> None:
        import asyncio

        self._searcher = await asyncio.to_thread(self._opened)

    async def answer(self, request: Query) -> Found:
        import asyncio

        return await asyncio.to_thread(self._search, request)

    async def close(self) -> None:
        self._searcher = None

    def _search(self, request: Query) -> Found:
        assert self._searcher, "answer before start"
        (hits,) = self._searcher.search([request.query], request.k)
        rows = self._documents.take(hits.ords).to_pylist()
        scored = zip(rows, hits.scores.tolist(), strict=True)
        return Found(tuple(FoundDocument(row["id"], row["text"], score) for row, score in scored))
