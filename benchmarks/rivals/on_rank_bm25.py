"""rank-bm25: Okapi, the variant of it that most use, in memory and by one thread.

Terms are interned, without which a million passages would not fit into memory, and the best `k` found by partitioning.
"""

import sys
from typing import Any

import numpy as np
from collection import Collection
from rank_bm25 import BM25Okapi


def main() -> None:
    collection = Collection(__doc__)
    given = collection.read()

    def index() -> Any:
        return BM25Okapi((list(map(sys.intern, text.split())) for text in collection.texts), k1=1.2, b=0.75)

    def search(engine: Any, queries: list[str]) -> Any:
        return [best(engine.get_scores(query.split()), given.k) for query in queries]

    collection.report(given, index, search)


def best(scores: Any, k: int) -> Any:
    first = np.argpartition(-scores, k)[:k]
    return first[np.argsort(-scores[first], kind="stable")]


if __name__ == "__main__":
    main()
