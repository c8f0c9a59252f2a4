"""The worked vectors of in-context pre-training (arXiv 2310.10638): the paper's traversal, and the runs of its code."""

from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest

from synth.pipelines.in_context.neighbors import Neighbors
from synth.pipelines.in_context.pack import PackNeighbors
from synth.pipelines.in_context.runs import dissolved, in_runs, is_repetition
from synth.pipelines.in_context.traversal import traversed
from synth.pipelines.retrieval.document_vectors import GivenVectors
from tests.pipelines.passing import passed
from tests.rows import write_rows

POINTS = [
    (1, 0, 0),
    (0.9, 0.43, 0),
    (0.8, 0.6, 0),
    (0, 1, 0),
    (0.1, 0.99, 0.1),
    (0, 0, 1),
    (0.6, 0.8, 0),
    (0, 0.2, 0.98),
]
VECTORS = np.array(POINTS) / np.linalg.norm(POINTS, axis=1, keepdims=True)
COSINES = VECTORS @ VECTORS.T
RUNS = [[0, 1, 2, 6, 4, 3], [5, 7]]


def nearest(k: int) -> Neighbors:
    others = COSINES - 9 * np.eye(len(COSINES))
    documents = np.argsort(-others, axis=1, kind="stable")[:, :k]
    return Neighbors(documents, np.take_along_axis(COSINES, documents, 1).astype(np.float32))


def along(order: list[int]) -> float:
    return float(round(sum(COSINES[one, other] for one, other in pairwise(order)), 4))


def test_the_paper_goes_from_the_document_of_least_degree_to_the_most_similar_neighbour() -> None:
    assert nearest(2).documents.tolist() == [[1, 2], [2, 0], [1, 6], [4, 6], [3, 6], [7, 4], [2, 1], [5, 4]]
    runs = traversed(nearest(2))
    assert runs == RUNS
    assert along([*chain(*runs)]) == 5.6645
    assert along([*range(8)]) == 3.7327


def test_a_missing_neighbour_changes_nothing() -> None:
    known = nearest(2)
    missing = Neighbors(
        np.insert(known.documents, 2, -1, axis=1), np.insert(known.cosines, 2, -np.inf, axis=1).astype(np.float32)
    )
    assert traversed(missing) == RUNS
    assert dissolved(in_runs(missing, 3), missing, 3) == dissolved(in_runs(known, 3), known, 3)


LINE = [Decimal(place) for place in ["0", "10", "1", "11", "2.1", "12.3", "3.3", "20", "13.6", "4.6", "21.5", "6"]]


def on_a_line(k: int) -> Neighbors:
    lists = [sorted((abs(one - other), at) for at, other in enumerate(LINE) if other != one)[:k] for one in LINE]
    documents = np.array([[at for _, at in each] for each in lists])
    return Neighbors(documents, np.zeros(documents.shape, np.float32))


def as_published(neighbors: Neighbors, size: int) -> list[int]:
    """The first run as the released code makes it: it looks whether there are enough before it adds one more."""
    run, document = [0], 0
    while len(run) <= size:
        document = next(other for other in neighbors.documents[document].tolist() if other not in run)
        run.append(document)
    return run


def test_the_code_makes_runs_and_dissolves_those_that_are_too_short() -> None:
    neighbors = on_a_line(3)
    runs = in_runs(neighbors, 4)
    assert runs == [[0, 2, 4, 6], [1, 3, 5, 8], [7, 10], [9, 11]]
    assert as_published(neighbors, 4) == [0, 2, 4, 6, 9]
    assert dissolved(runs, neighbors, 4) == [[0, 2, 4, 11, 9, 6], [1, 3, 5, 10, 7, 8]]


def test_a_ring_is_cut_into_runs_of_one_size() -> None:
    ring = np.array([[(one + step) % 60 for step in range(1, 10)] for one in range(60)])
    assert [len(run) for run in in_runs(Neighbors(ring, np.zeros(ring.shape, np.float32)), 21)] == [21, 21, 18]


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("the quick brown fox jumps", "the quick brown fox jumped", True),
        ("abcd", "abce", False),
        # No trigrams: undefined in the code, which loses the text.
        ("ab", "ab", False),
        ("a" * 99 + "b" * 50, "a" * 99 + "b" + "c" * 50, True),
    ],
)
def test_a_text_that_begins_almost_as_the_one_before_is_a_repetition(text: str, before: str, expected: bool) -> None:
    assert is_repetition(text, before) is expected


def test_the_command_says_the_same(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="FAISS is not installed")
    rows = [{"id": f"d{i}", "vector": list(point)} for i, point in enumerate(POINTS)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    stage = PackNeighbors(GivenVectors("vector"), neighbors=2, duplicate=1)
    ordered, rejected = passed(stage, [source], tmp_path / "out")
    assert not rejected
    assert [int(row["id"][1:]) for row in ordered] == [*chain(*RUNS)]
    assert [row["run"] for row in ordered] == [0] * 6 + [1] * 2
    assert [row["position"] for row in ordered] == [*range(8)]
    # Vectors are kept in 16 bits.
    for before, row in pairwise(ordered):
        cosine = COSINES[int(before["id"][1:]), int(row["id"][1:])]
        assert row["previous_similarity"] == (None if row["run"] != before["run"] else pytest.approx(cosine, abs=1e-3))
