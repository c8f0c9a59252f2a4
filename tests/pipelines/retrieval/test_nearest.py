"""Searching vectors: every kind of index finds what comparing all of them finds, in one order."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from synth.pipelines.retrieval import nearest
from synth.pipelines.retrieval.nearest import KINDS, Nearest, build, kind_for
from synth.pipelines.retrieval.vectors import Vectors, VectorWriter, finish
from synth.schemas.errors import InputError

pytest.importorskip("faiss", reason="FAISS is not installed")


def clustered(count: int, dimensions: int, clusters: int, noise: float, seed: int = 0) -> NDArray[np.float32]:
    """Vectors of length 1 around as many centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((clusters, dimensions))
    vectors = centres[rng.integers(0, clusters, count)] + noise * rng.standard_normal((count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def laid_by(folder: Path, vectors: NDArray[np.float32], kind: str, of: NDArray[np.uint32] | None = None) -> Vectors:
    positions = np.arange(len(vectors), dtype=np.uint32) if of is None else of
    writer = VectorWriter(folder, vectors.shape[1], len(vectors))
    writer.append(vectors, positions)
    made = writer.unfinished(int(positions[-1]) + 1, kind)
    build(made)
    finish(made)
    return Vectors.open(folder)


def exact(vectors: Vectors, queries: NDArray[np.float32], k: int) -> list[list[int]]:
    scores = (queries.astype(np.float64) @ vectors.array.astype(np.float64).T).astype(np.float32)
    return [np.argsort(-row, kind="stable")[:k].tolist() for row in scores]


def test_the_number_of_passages_decides_how_they_are_searched() -> None:
    assert [kind_for(passages) for passages in (1, 100_000, 100_001, 1_000_000, 1_000_001, 10**9)] == [
        "flat",
        "flat",
        "ivf",
        "ivf",
        "ivfpq",
        "ivfpq",
    ]


def test_flat_search_is_exact_however_the_vectors_are_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, queries = clustered(3000, 32, 10, 0.5), clustered(50, 32, 10, 0.5, seed=1)
    made = laid_by(tmp_path / "flat", vectors, "flat")
    for stretch, at_a_time in ((1 << 16, 1 << 21), (700, 1 << 21), (64, 300)):
        monkeypatch.setattr(nearest, "VECTORS_AT_A_TIME", stretch)
        monkeypatch.setattr(nearest, "CANDIDATES_AT_A_TIME", at_a_time)
        hits = list(Nearest(made, 1).search(queries, 20))
        assert [found.ords.tolist() for found in hits] == exact(made, queries, 20)
    for query, found in zip(queries, hits, strict=True):
        assert found.scores == pytest.approx(vectors[found.ords] @ query, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_vectors_the_first_are_found(tmp_path: Path, kind: str) -> None:
    others, twins = clustered(2000, 16, 20, 0.3), clustered(1, 16, 1, 0.1, seed=5)
    vectors = np.concatenate([others[:1000], np.repeat(twins, 1200, axis=0), others[1000:]])
    made = laid_by(tmp_path / kind, vectors, kind)
    (found,) = Nearest(made, 16).search(twins, 7)
    assert found.ords.tolist() == list(range(1000, 1007))
    assert len(set(found.scores.tolist())) == 1


def test_a_document_has_the_score_of_its_best_passage_and_comes_once(tmp_path: Path) -> None:
    axes = np.eye(4, dtype=np.float32)
    of = np.array([0, 0, 0, 1, 2], np.uint32)
    made = laid_by(tmp_path / "some", axes[[0, 1, 0, 2, 3]], "flat", of)
    query = np.array([[0.8, 0.2, 0.5, 0.1]], np.float32)
    (found,) = Nearest(made, 1).search(query, 5)
    assert found.ords.tolist() == [0, 1, 2]
    assert found.scores.tolist() == pytest.approx([0.8, 0.5, 0.1])
    (found,) = Nearest(made, 1).search(query, 1)
    assert found.ords.tolist() == [0]


def test_more_passages_are_looked_at_where_one_document_has_the_best(tmp_path: Path) -> None:
    near, far = clustered(1500, 16, 1, 0.05), -clustered(30, 16, 1, 0.05, seed=3)
    of = np.concatenate([np.zeros(1500), np.arange(1, 31)]).astype(np.uint32)
    made = laid_by(tmp_path / "long", np.concatenate([near, far]), "flat", of)
    (found,) = Nearest(made, 1).search(near[:1], 10)
    assert found.ords[0] == 0
    assert len(found) == 10


@pytest.mark.parametrize(("kind", "at_least"), [("flat", 1.0), ("ivf", 0.95), ("ivfpq", 0.95)])
def test_what_an_index_proposes_has_nearly_all_of_the_ten_best(tmp_path: Path, kind: str, at_least: float) -> None:
    vectors, queries = clustered(20_000, 64, 200, 0.8), clustered(100, 64, 200, 0.8, seed=1)
    made = laid_by(tmp_path / kind, vectors, kind)
    found = [hits.ords.tolist() for hits in Nearest(made, 32).search(queries, 10)]
    wanted = exact(made, queries, 10)
    recall = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(found, wanted, strict=True)])
    assert recall >= at_least


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 40, 255, 300])
def test_few_vectors_are_searched_as_well(tmp_path: Path, kind: str, count: int) -> None:
    vectors = clustered(count, 12, 3, 0.5)
    made = laid_by(tmp_path / "few", vectors, kind)
    (found,) = Nearest(made, 1000).search(vectors[:1], 5)
    assert found.ords[0] == 0
    assert len(found) == min(count, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_others_of_a_vector_are_the_nearest_without_itself(tmp_path: Path, kind: str) -> None:
    twins = np.repeat(clustered(1, 16, 1, 0.1, seed=5), 60, axis=0)
    vectors = np.concatenate([clustered(500, 16, 20, 0.3), twins, clustered(3, 16, 20, 0.3, seed=8)])
    made = laid_by(tmp_path / kind, vectors, kind)
    rows = np.array([0, 505, 562, 3])
    found, cosines = Nearest(made, 1000).others(rows, 7)
    array = made.array.astype(np.float64)
    lengths = np.linalg.norm(array, axis=1)
    scores = array[rows] @ array.T / (lengths[rows, None] * lengths)
    for row, others, values, exact_scores in zip(rows.tolist(), found.tolist(), cosines, scores, strict=True):
        exact_scores[row] = -np.inf
        wanted = np.argsort(-exact_scores.astype(np.float32), kind="stable")[:7].tolist()
        assert others == wanted
        assert values.tolist() == exact_scores.astype(np.float32)[wanted].tolist()


def test_where_there_are_too_few_others_the_rest_is_missing(tmp_path: Path) -> None:
    made = laid_by(tmp_path / "few", clustered(3, 8, 1, 0.5), "flat")
    found, cosines = Nearest(made, 1).others(np.array([1]), 4)
    assert sorted(found[0, :2].tolist()) == [0, 2]
    assert found[0, 2:].tolist() == [-1, -1]
    assert cosines[0, 2:].tolist() == [-np.inf, -np.inf]


def test_two_vectors_have_one_cosine_whichever_is_searched_for(tmp_path: Path) -> None:
    made = laid_by(tmp_path / "pairs", clustered(400, 48, 5, 0.5), "flat")
    found, cosines = Nearest(made, 1).others(np.arange(400), 30)
    known = {
        (one, int(other)): value for one in range(400) for other, value in zip(found[one], cosines[one], strict=True)
    }
    assert sum((other, one) in known for one, other in known) > 1000
    assert all(known.get((other, one), value) == value for (one, other), value in known.items())


def test_a_search_ends_where_the_clusters_that_are_looked_into_are_empty(tmp_path: Path) -> None:
    made = laid_by(tmp_path / "same", np.repeat(clustered(1, 8, 1, 0.1), 40, axis=0), "ivf")
    queries = clustered(30, 8, 30, 1.0, seed=2)
    assert {len(found) for found in Nearest(made, 1).search(queries, 5)} <= {0, 5}
    assert {len(found) for found in Nearest(made, 32).search(queries, 5)} == {5}


@pytest.mark.parametrize("kind", ["ivf", "ivfpq"])
def test_the_same_vectors_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    vectors = clustered(2000, 16, 20, 0.5)
    for name in "ab":
        laid_by(tmp_path / name, vectors, kind)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in "ab"]
    assert files[0] == files[1] == ["dense.json", "documents.uint32", "index.faiss", "vectors.float16"]
    for name in files[0]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_a_crash_left_of_a_batch_is_dropped(tmp_path: Path) -> None:
    vectors, of = clustered(40, 8, 3, 0.5), np.arange(40, dtype=np.uint32)
    writer = VectorWriter(tmp_path / "v", 8, 10)
    for start in (0, 10):
        writer.append(vectors[start : start + 10], of[start : start + 10])
    with (tmp_path / "v" / "vectors.float16").open("ab") as file:
        file.write(b"torn" * 50)
    with (tmp_path / "v" / "documents.uint32").open("ab") as file:
        file.write(b"torn" * 3 + b"x")
    again = VectorWriter(tmp_path / "v", 8, 10)
    assert again.saved == 20
    assert again.document_of.tolist() == list(range(20))
    # A corpus that is added starts a batch of its own.
    again.append(vectors[20:23], of[20:23])
    assert VectorWriter(tmp_path / "v", 8, 10, base=23).saved == 23
    assert VectorWriter(tmp_path / "v", 8, 10).saved == 20


def test_files_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    made = laid_by(tmp_path / "v", clustered(300, 8, 3, 0.5), "ivf")
    other = laid_by(tmp_path / "other", clustered(200, 8, 3, 0.5), "ivf")
    index = made.folder / "index.faiss"
    index.write_bytes((other.folder / "index.faiss").read_bytes())
    with pytest.raises(InputError, match=r"is damaged: its index\.faiss does not match its vectors"):
        Nearest(made, 1)
    index.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"index\.faiss cannot be read by FAISS"):
        Nearest(made, 1)
    index.unlink()
    with pytest.raises(InputError, match=r"index\.faiss cannot be read by FAISS"):
        Nearest(made, 1)
    (made.folder / "vectors.float16").write_bytes(b"short")
    with pytest.raises(InputError, match=r"the sizes of its files differ from dense\.json"):
        Vectors.open(made.folder)
    (made.folder / "dense.json").write_text('{"passages": 3}')
    with pytest.raises(InputError, match="has no readable vectors"):
        Vectors.open(made.folder)
    with pytest.raises(InputError, match="has no readable vectors"):
        Vectors.open(tmp_path / "nowhere")
