"""The traversal of the paper and the runs of the code: every document once, and each step as it is said."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.in_context.contexts import contexts_of, shuffled
from synth.pipelines.in_context.neighbors import Neighbors
from synth.pipelines.in_context.runs import dissolved, in_runs
from synth.pipelines.in_context.traversal import traversed


@st.composite
def graphs(draw: st.DrawFn) -> Neighbors:
    """Neighbours of up to 25 documents, with equal cosines, missing neighbours and documents without any."""
    count, k = draw(st.integers(1, 25)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    cosines = rng.integers(0, 6, (count, count)) / 8
    cosines = np.minimum(cosines, cosines.T)
    np.fill_diagonal(cosines, -1)
    documents = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(cosines, documents, 1)
    missing = (documents == np.arange(count)[:, None]) | (
        np.arange(documents.shape[1]) >= rng.integers(0, k + 2, (count, 1))
    )
    return Neighbors(np.where(missing, -1, documents), np.where(missing, -np.inf, values).astype(np.float32))


def linked(neighbors: Neighbors) -> dict[int, dict[int, float]]:
    """The neighbours of each document with their cosines, in either direction."""
    links: dict[int, dict[int, float]] = {one: {} for one in range(len(neighbors.documents))}
    for one, (others, cosines) in enumerate(zip(neighbors.documents, neighbors.cosines, strict=True)):
        for other, cosine in zip(others.tolist(), cosines.tolist(), strict=True):
            if other >= 0:
                links[one][other] = links[other][one] = cosine
    return links


@given(graphs())
def test_the_traversal_takes_the_best_step_each_time(neighbors: Neighbors) -> None:
    links = linked(neighbors)
    left = set(links)
    for run in traversed(neighbors):
        assert run[0] == min(left, key=lambda one: (len(links[one]), one))
        for at, document in enumerate(run):
            left.remove(document)
            near = [other for other in links[document] if other in left]
            best = min(near, key=lambda other: (-links[document][other], other), default=None)
            assert best == (run[at + 1] if at + 1 < len(run) else None)
    assert not left


@given(graphs(), st.integers(1, 6))
def test_runs_have_every_document_once_and_none_is_too_long_before_others_join_it(
    neighbors: Neighbors, size: int
) -> None:
    runs = in_runs(neighbors, size)
    assert max(map(len, runs)) <= size
    assert sorted(document for run in runs for document in run) == [*range(len(neighbors.documents))]
    merged = dissolved(runs, neighbors, size)
    assert sorted(document for run in merged for document in run) == [*range(len(neighbors.documents))]


def test_a_document_moves_directly_before_its_nearest_neighbour_elsewhere() -> None:
    lists = np.array([[1, 2], [2, 0], [0, 1], [4, 1], [3, 2], [-1, -1]])
    neighbors = Neighbors(lists, np.zeros(lists.shape, np.float32))
    assert in_runs(neighbors, 3) == [[0, 1, 2], [3, 4], [5]]
    # 3 goes before 1. By then 4 finds 3 elsewhere, and goes before it. 5 has nobody, and stays.
    assert dissolved(in_runs(neighbors, 3), neighbors, 3) == [[0, 4, 3, 1, 2], [5]]


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 50), st.integers(0, 99))
def test_contexts_are_windows_of_tokens_that_are_shuffled_whole(tokens: list[int], size: int, seed: int) -> None:
    contexts = contexts_of(np.array(tokens, np.int64), size)
    assert contexts.tolist() == [sum(tokens[:at]) // size for at in range(len(tokens))]
    order = shuffled(contexts, np.random.default_rng(seed)).tolist()
    assert sorted(order) == [*range(len(tokens))]
    for one, other in pairwise(order):
        # In a context they keep their order, and what is between two of a context is of it, too.
        assert contexts[one] != contexts[other] or other == one + 1
    starts = [at for at, one in enumerate(order) if at == 0 or contexts[order[at - 1]] != contexts[one]]
    assert len(starts) == len({*contexts.tolist()})
