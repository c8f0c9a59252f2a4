"""The inner loops of BM25, compiled by numba: they add the best documents of a segment to those of each query."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compiled"]

# Passages that are compared at once with the worst hit.
GROUP = 128


@cache
def compiled() -> Callable[..., None]:
    """`_add_best` in machine code; other threads run while it does."""
    from llvmlite.binding import ffi

    # On a CPU, vLLM looks at the attributes of every object of every module as it starts. This one answers any name
    # with a function, and vLLM would fail.
    ffi.lib._fntab["__dict__"] = {}
    from numba import njit

    function: Callable[..., None] = njit(nogil=True)(_add_best)
    return function


def _add_best(
    documents: NDArray[np.uint32],
    passages: NDArray[np.uint32],
    kinds: NDArray[Any],
    weights: NDArray[np.float32],
    first: NDArray[np.uint64],
    last: NDArray[np.uint64],
    queries: NDArray[np.int64],
    terms: NDArray[np.int64],
    factors: NDArray[np.float32],
    best: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> None:
    """Search a segment for several queries. Unsigned indexes make it quicker: those below 0 would count from the end.

    `documents`, `passages` and `kinds` are those of the segment, and `weights` has those of the kinds. A term is a
    number; its postings are those from `first` to `last`. Query `i` has the terms from `queries[i]` to `queries[i + 1]`
    of `terms`; by each a passage scores its factor times the weight of the posting.

    `best[i]` and `scores[i]` are a heap of documents that come before those of the segment, with the worst hit on top:
    that of the lowest score, and of these the last document. Hits that are yet to be found have the score 0.
    """
    total = np.zeros(len(documents), np.float32)
    for query in range(len(queries) - 1):
        for number in range(queries[query], queries[query + 1]):
            term, factor = terms[number], factors[number]
            for posting in range(first[term], last[term]):
                total[passages[posting]] += factor * weights[kinds[posting]]

        held, heap = best[query], scores[query]
        stop = 0
        while stop < len(total):
            start, stop = stop, min(stop + GROUP, len(total))
            while stop < len(total) and documents[stop] == documents[stop - 1]:
                stop += 1
            better, worst = 0, heap[0]
            for unsigned in range(np.uint64(start), np.uint64(stop)):
                better += total[unsigned] > worst
            passage = start if better else stop
            while passage < stop:
                document, score = documents[passage], total[passage]
                while passage < stop and documents[passage] == document:
                    score = max(score, total[passage])
                    passage += 1
                if score <= heap[0]:
                    continue
                # In the place of the worst hit, and down from the top of the heap.
                place = 0
                while 2 * place + 1 < len(heap):
                    child = 2 * place + 1
                    other = child + 1
                    if other < len(heap) and (
                        heap[other] < heap[child] or (heap[other] == heap[child] and held[other] > held[child])
                    ):
                        child = other
                    if heap[child] >= score:
                        break
                    heap[place], held[place] = heap[child], held[child]
                    place = child
                heap[place], held[place] = score, document
        total[:] = 0
