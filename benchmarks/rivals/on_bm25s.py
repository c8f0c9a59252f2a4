"""bm25s with Lucene's formula and all cores, in memory. The first query of all is not counted: numba compiles then."""

import os
from typing import Any

import bm25s
from collection import Collection


def main() -> None:
    collection = Collection(__doc__)
    collection.arguments.add_argument("--backend", default="numpy", help="numpy or numba")
    given = collection.read()

    def index() -> Any:
        engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend=given.backend)
        engine.index(split(collection.texts), show_progress=False)
        return engine

    def search(engine: Any, queries: list[str]) -> Any:
        return engine.retrieve(split(queries), k=given.k, n_threads=os.cpu_count(), show_progress=False).documents

    collection.report(given, index, search)


def split(texts: list[str]) -> Any:
    return bm25s.tokenize(texts, lower=False, token_pattern=r"\S+", stopwords=[], show_progress=False)


if __name__ == "__main__":
    main()
