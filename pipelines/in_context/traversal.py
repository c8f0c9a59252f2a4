"""The paper's order: paths through the graph of neighbours that visit every document once.

In-context pre-training (arXiv 2310.10638, section 2.2). Where several documents have the least degree, the paper starts
at any of them, and this at the first.
"""

import numpy as np

from synth.pipelines.in_context.neighbors import Int64s, Neighbors

__all__ = ["traversed"]


def traversed(neighbors: Neighbors) -> list[list[int]]:
    """Runs of documents that together have every document once.

    A run starts at a document of least degree among those that are left, since such documents would lose their few
    neighbours if they had to wait. It goes on to the most similar neighbour that is left, and ends where there is none.
    Two documents are neighbours if either is in the list of the other; the degree is that in the whole graph. Ties of
    degree and of similarity go to the first document.
    """
    starts, others = _graph(neighbors)
    is_left = bytearray(b"\1") * (len(starts) - 1)
    bounds, following = starts.tolist(), others.data
    runs = []
    for start in np.argsort(np.diff(starts), kind="stable").tolist():
        run: list[int] = []
        document: int | None = start if is_left[start] else None
        while document is not None:
            is_left[document] = 0
            run.append(document)
            near = following[bounds[document] : bounds[document + 1]]
            document = next((other for other in near if is_left[other]), None)
        if run:
            runs.append(run)
    return runs


def _graph(neighbors: Neighbors) -> tuple[Int64s, Int64s]:
    """The neighbours of all documents in one array, most similar first, and where those of each document start."""
    count = len(neighbors.documents)
    one, place = np.nonzero(neighbors.documents >= 0)
    other, cosine = neighbors.documents[one, place], neighbors.cosines[one, place]
    edges = np.concatenate([one * count + other, other * count + one])
    edges, first = np.unique(edges, return_index=True)
    one, other = np.divmod(edges, count)
    order = np.lexsort((other, -np.concatenate([cosine, cosine])[first], one))
    starts = np.append(0, np.cumsum(np.bincount(one, minlength=count)))
    return starts, other[order]
